"""The past apps ask for: out of the window, out of a real recorder, and both together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.core.batch import Int64s
from metertwin.core.command import CommandKind
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import LedgerLine
from metertwin.core.units import Unit
from metertwin.recorder.run import Recorder
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.duckdb import DuckDbStore
from metertwin.twins.apps.tables import overlaid, stacked
from metertwin.twins.apps.window import MixedProfilesError
from metertwin.twins.settings import AppGrant

pytestmark = pytest.mark.usefixtures("counting_app")

PROFILE = 2
DAY_S = 86_400.0
COUNTING = AppGrant(
    "counting", grants=(CommandKind.DISCONNECT,), config={"limit_wh": 5000, "window_days": 0}
)
QUARTERS = Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, 0, 900)


@contextlib.asynccontextmanager
async def recording(site: Site, path: Path) -> AsyncIterator[None]:
    """Run a recorder until it has all readings of the group, and for as long as the block."""
    store = DuckDbStore(path / "history.duckdb")
    settings = RecorderSettings(harvest_s=0.01)
    recorder = Recorder(settings, await site.connect(Role.RECORDER), store, site.clock)
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        store.close()


async def until_recorded(site: Site, count: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(UnavailableError):
                lines = await site.ask_history("ledger", "_", list[LedgerLine])
                if sum(line.received for line in lines) >= count:
                    return
            await asyncio.sleep(0.01)


# One recorder hears all groups of the tests' bus, so meters here are named after their group.
def quarters(*integers: int, first: int = 0) -> list[tuple[int, int, float]]:
    return [(PROFILE, each, (first + at) * 900.0) for at, each in enumerate(integers)]


async def test_an_app_that_comes_later_is_shown_the_past_the_recorder_has(
    site: Site, tmp_path: Path
) -> None:
    async with site.host():
        await site.publish(
            (f"{site.group}-a", 1, quarters(1000, 1100, 1400)),
            (f"{site.group}-b", 1, quarters(5, 7)),
        )
        await site.until_received(5)
    async with recording(site, tmp_path):
        await until_recorded(site, 5)
        async with site.host(apps=(COUNTING,)) as (host, _):
            window = host.hosted[site.group].apps.window
            answer = await counted(site, f"{site.group}-a", 2)
            assert (answer["energy"], answer["quarters"]) == ("0.4", 2)
            assert (await counted(site, f"{site.group}-b", 1))["energy"] == "0.002"
            assert not host.hosted[site.group].backfill.is_needed
            # A correction from the stream meets what came out of history.
            await site.publish((f"{site.group}-a", 4, quarters(1200, first=1)))
            await site.until_received(6)
            outputs, _events = await site.kept()
            assert [each.value["energy"] for each in outputs if each.revision] == ["0.2", "0.2"]
            assert window.first_us(QUARTERS.obis) % 86_400_000_000 == 0


async def test_an_app_that_comes_later_says_since_when_it_knows_until_then(site: Site) -> None:
    async with site.host():
        await site.publish((f"{site.group}-a", 1, quarters(1000, 1100)))
        await site.until_received(2)
    site.clock.advance(600)
    async with site.host(apps=(COUNTING,)) as (host, _):
        await site.publish((f"{site.group}-a", 3, quarters(1400, 1500, first=2)))
        await site.until_received(4)
        answer = await site.ask("counted", f"{site.group}-a", dict[str, object])
        assert (answer["energy"], answer["quarters"]) == ("0.1", 1)
        assert answer["since_us"] == 1_780_318_800_000_000  # 2026-06-01T13:00Z, the hour after
        assert host.hosted[site.group].backfill.is_needed


async def test_history_before_the_window_comes_from_the_recorder(
    site: Site, tmp_path: Path
) -> None:
    async with recording(site, tmp_path), site.host(apps=(COUNTING,)):
        await site.publish((f"{site.group}-a", 1, quarters(1000, 1100, 1400)), received_s=1800)
        tomorrow = quarters(1400, 1450, first=96)
        await site.publish((f"{site.group}-a", 4, tomorrow), received_s=DAY_S + 1800)
        await site.until_received(5)
        await until_recorded(site, 5)
        span: dict[str, object] = {"start": "2026-06-01T12:00:00Z", "end": "2026-06-02T13:00:00Z"}
        answer = await site.ask("energy_over", f"{site.group}-a", dict[str, object], span)
        # Two quarters of the first day, one of the second; between them a span of nothing.
        assert answer == {"energy_wh": 100 + 300 + 50, "known": 3}


async def counted(site: Site, meter: str, quarters_count: int) -> dict[str, object]:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Exception):
                answer = await site.ask("counted", meter, dict[str, object])
                if answer["quarters"] == quarters_count:
                    return answer
            await asyncio.sleep(0.02)


def table_of(
    gains: list[list[int]], scaler: int = 0, start: int = 0, meters: str = "ab", spans: str = ""
) -> IntervalTable:
    """Return gains; -1 is not known. `spans`: row, first, count, gain in digits, each."""
    gain = np.array(gains, np.int64)
    numbers: Int64s = np.array([[int(digit) for digit in span] for span in spans.split()])
    columns = numbers.reshape(-1, 4).astype(np.int64).T
    return IntervalTable(
        [MeterId(meter) for meter in meters],
        QUARTERS._replace(scaler=scaler),
        start * 900_000_000,
        gain=np.where(gain < 0, 0, gain),
        is_known=gain >= 0,
        quality=np.zeros(gain.shape, np.uint8),
        origin=np.zeros(gain.shape, np.uint8),
        spans=KnownSpans(*columns),
    )


def test_newer_intervals_lie_over_older_ones_in_the_finer_scaler() -> None:
    older = table_of([[1, 2, -1, -1], [-1, -1, -1, -1]], spans="0229 1018 1228")
    newer = table_of([[-1, 35], [-1, -1]], scaler=-1, start=2)
    laid = overlaid(older, newer)
    assert laid.register.scaler == -1
    assert laid.gain.tolist() == [[10, 20, 0, 35], [0, 0, 0, 0]]
    assert laid.is_known.tolist() == [[True, True, False, True], [False] * 4]
    # The span of row 0 is over: part of it is known now. Those of row 1 stay, ten times finer.
    assert laid.spans.row.tolist() == [1, 1]
    assert laid.spans.gain.tolist() == [80, 80]


def test_pages_of_meters_become_one_table_in_the_order_asked_for() -> None:
    first = table_of([[1, 2]], meters="b")
    second = table_of([[30, -1]], scaler=-1, meters="a", spans="0115")
    whole = stacked([first, second], [MeterId("a"), MeterId("x"), MeterId("b")])
    assert whole.gain.tolist() == [[30, 0], [0, 0], [10, 20]]
    assert whole.is_known.tolist() == [[True, False], [False, False], [True, True]]
    assert whole.spans.row.tolist() == [0]
    hourly = table_of([[1]], meters="a")
    hourly = IntervalTable(
        hourly.meters,
        QUARTERS._replace(period_s=3600),
        0,
        hourly.gain,
        hourly.is_known,
        hourly.quality,
        hourly.origin,
        hourly.spans,
    )
    with pytest.raises(MixedProfilesError, match="Wh every 3600 s and Wh every 900 s"):
        stacked([first, hourly], [MeterId("a"), MeterId("b")])
