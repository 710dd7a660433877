"""From the demonstration's options to the settings of its site, in a fresh state directory."""

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from metertwin.bus.server import free_port
from metertwin.cli.tariff_grant import tariff_grant
from metertwin.core.errors import ConflictError, InvalidInputError
from metertwin.core.ids import SiteId
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.process.images import OWN_REFERENCE
from metertwin.fleet.site import SITE_VERSION, ClockSettings, SimulationSettings, SiteSettings
from metertwin.fleet.state import StateDirectory
from metertwin.twins.settings import AppGrant

# A directory without this file was not made by the demonstration and is never cleared by it.
MARKER = ".metertwin-demo"
POLL_EVERY_S = 5.0  # of this machine: often enough to watch, whatever the speed
METERS_MAX_COUNT = 50_000
EDGES_MAX_COUNT = 8
FEEDER_POINTS_COUNT = 118  # of the bundled grid
# A street of 100 has a past of two whole months, so that there is a bill to look at; a large one
# lives shorter, because its past is read from the meters as everything else.
LIVED_DAYS_MAX, LIVED_METER_DAYS = 62, 6_200
PAST_DAYS_MAX = 400
HOUSEHOLD_TARIFF = Path(__file__).with_name("household-tou.yaml")
TRANSFORMER_METERS = "t*"  # as the simulator names them
FLAT_TARIFF = Path(__file__).with_name("household-flat.yaml")
SPEED_MAX_RATIO = 10_000.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for on the command line.

    Attributes:
        speed_ratio: Simulated seconds per second, 1 to 10,000.
        for_s: How long to run once every twin is in step, in s; None until Ctrl-C.
        past_days: Days of load profile the meters have at the start; None for as many as suit
            their number.
        tariff: File of the tariff all households have.
        edges_count: Edge sites beside a cloud, 0 to 8; 0 for one site that has everything.
        twins_per_container: Most twins in one container; 0 for all of a site's.
        runtime: What the parts run in.
        image: What they run from.
    """

    meters_count: int
    speed_ratio: float
    for_s: float | None
    api_port: int
    security: str
    scenario: Path | None
    state: Path
    seed: int
    past_days: int | None = None
    tariff: Path = HOUSEHOLD_TARIFF
    edges_count: int = 0
    twins_per_container: int = 0
    runtime: RuntimeChoice = RuntimeChoice.PROCESS
    image: str = OWN_REFERENCE

    @property
    def edges(self) -> tuple[SiteId, ...]:
        """Names of the edge sites."""
        return tuple(SiteId(f"edge{number}") for number in range(1, self.edges_count + 1))

    @property
    def lived_days(self) -> int:
        """Days of load profile the meters have at the start."""
        if self.past_days is not None:
            return self.past_days
        return min(LIVED_DAYS_MAX, LIVED_METER_DAYS // self.meters_count)

    def check(self) -> None:
        """Raise InvalidInputError naming all options that are out of range."""
        problems = []
        if not 1 <= self.meters_count <= METERS_MAX_COUNT:
            problems.append(f"--meters {self.meters_count} is not 1 to {METERS_MAX_COUNT}")
        if not 1 <= self.speed_ratio <= SPEED_MAX_RATIO:
            problems.append(f"--speed {self.speed_ratio:g} is not 1 to {SPEED_MAX_RATIO:g}")
        if self.for_s is not None and not self.for_s > 0:
            problems.append(f"--for {self.for_s:g} is not above 0 s")
        if self.past_days is not None and not 0 <= self.past_days <= PAST_DAYS_MAX:
            problems.append(f"--past {self.past_days} is not 0 to {PAST_DAYS_MAX} days")
        if not 0 <= self.edges_count <= min(EDGES_MAX_COUNT, self.meters_count):
            problems.append(
                f"--edge {self.edges_count} is not 0 to {EDGES_MAX_COUNT}, with a meter for each"
            )
        if self.security not in {"none", "low", "high"}:
            problems.append(f"--security {self.security} is none of none, low, high")
        if problems:
            raise InvalidInputError("; ".join(problems) + ".")


def site_of(options: DemoOptions) -> SiteSettings:
    """Return the settings of the demonstration's site; its time begins now."""
    return SiteSettings(
        version=SITE_VERSION,
        site=SiteId("cloud" if options.edges else "demo"),
        bus_url=f"nats://127.0.0.1:{free_port()}",
        groups=(),
        apps=(_tariff_app(options.tariff),),
        poll_s=POLL_EVERY_S * options.speed_ratio,
        first_profile_days=max(options.lived_days, 2),
        api_port=options.api_port,
        twins_per_container=options.twins_per_container,
        clock=ClockSettings(
            origin=datetime.now(UTC).replace(microsecond=0),
            origin_monotonic_s=time.monotonic(),
            speed_ratio=options.speed_ratio,
        ),
        simulation=SimulationSettings(
            meters_count=options.meters_count,
            port=free_port(),
            security=options.security,
            seed=options.seed,
            lived_days=options.lived_days,
            group_size=_group_size(options),
            scenario=None if options.scenario is None else str(options.scenario.resolve()),
        ),
    )


def _group_size(options: DemoOptions) -> int | None:
    """Return so few meters on a feeder that each edge has one, or None where that is so anyway."""
    if not options.edges:
        return None
    return min(-(-options.meters_count // len(options.edges)), FEEDER_POINTS_COUNT)


def _tariff_app(file: Path) -> AppGrant:
    only = tariff_grant([file], [TRANSFORMER_METERS])
    # A second one, so that a customer has something to compare with.
    is_other = only.config["default"] != tariff_grant([FLAT_TARIFF]).config["default"]
    return tariff_grant([file, FLAT_TARIFF], [TRANSFORMER_METERS]) if is_other else only


def fresh_state(root: Path) -> StateDirectory:
    """Return an empty state directory; an earlier demonstration's is cleared.

    Raises:
        ConflictError: The directory holds something else.
    """
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).exists():
            raise ConflictError(
                f"{root} is not empty and was not made by the demonstration; "
                "give another --state directory.",
                path=str(root),
            )
        shutil.rmtree(root)
    state = StateDirectory(root)
    state.make()
    (root / MARKER).touch()
    return state
