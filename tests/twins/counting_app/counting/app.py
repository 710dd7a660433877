"""Counts what each meter drew, tells when a quarter hour is heavy, and switches such a home off.

Known intervals are kept by meter and start, so the state depends on the set of intervals alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import numpy as np

from metertwin.apps.app import (
    NOTHING,
    Answer,
    AppInfo,
    AppSettings,
    AppSettingsError,
    AppStateError,
    Asked,
    Finding,
    History,
    HistoryWanted,
    NotNow,
    Outcome,
    Output,
    Proposal,
    RequestEffect,
    RequestKind,
)
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us
from metertwin.core.command import CommandKind
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis

IMPORT_ENERGY = Obis.parse("1-0:1.8.0*255")
QUARTER_US = 900_000_000
MOST_WH = 10_000


@dataclass(frozen=True)
class Nothing:
    """No arguments."""


@dataclass(frozen=True)
class SetLimit:
    limit_wh: int
    at: datetime | None = None


@dataclass(frozen=True)
class Over:
    start: datetime
    end: datetime
    divide_by: int = 1


class Counting:
    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        limit_wh = settings.config.get("limit_wh", 1000)
        if not isinstance(limit_wh, int):
            raise AppSettingsError(f"limit_wh is {limit_wh!r}; give a number of Wh.")
        self.limit_wh = limit_wh
        self.energy_wh: dict[str, dict[int, int]] = {}
        self.version = str(settings.config.get("version", "1.0.0"))
        self.wake_count = 0

    @property
    def info(self) -> AppInfo:
        kinds = self.settings.config.get("needs", ["disconnect"])
        assert isinstance(kinds, list)
        another = self.settings.config.get("also_answers")
        return AppInfo(
            name="counting",
            version=self.version,
            requests={
                **({str(another): RequestKind(Nothing, "Another's.")} if another else {}),
                "counted": RequestKind(Nothing, "Energy counted so far."),
                "energy_over": RequestKind(Over, "Energy over a time."),
                "set_count_limit": RequestKind(
                    SetLimit, "Change the limit.", RequestEffect.CHANGES, is_of_group=True
                ),
            },
            grants=frozenset(CommandKind(kind) for kind in kinds),
            registers=(IMPORT_ENERGY,),
            window_days=int(str(self.settings.config.get("window_days", 2))),
            wakes=True,
            needs_whole_group=bool(self.settings.config.get("needs_whole_group")),
        )

    def on_intervals(self, view: GroupView) -> Outcome:
        if self.settings.config.get("break_at") == len(self.energy_wh):
            raise ZeroDivisionError("an app's bug")
        outputs, findings, proposals = [], [], []
        fresh = view.fresh
        for row, start_us, is_changed in zip(
            fresh.row.tolist(), fresh.start_us.tolist(), fresh.is_changed.tolist(), strict=True
        ):
            table = view.intervals.table(
                IMPORT_ENERGY, start_us, start_us + QUARTER_US, np.array([row])
            )
            if not table.is_known[0, 0]:
                continue
            meter, gain_wh = view.meters[row], int(table.gain[0, 0])
            known = self.energy_wh.setdefault(meter, {})
            if known.get(start_us) == gain_wh:
                continue
            revision = int(is_changed)
            known[start_us] = gain_wh
            at = from_us(start_us)
            value = {"energy": Decimal(gain_wh) / 1000, "at": at}
            outputs.append(odd(Output(meter, "energy", at, value, revision), self.settings))
            if gain_wh > self.limit_wh:
                findings.append(Finding(meter, "heavy_quarter", at, f"{gain_wh} Wh"))
                kind = CommandKind(str(self.settings.config.get("propose", "disconnect")))
                cause = f"heavy-{meter}-{start_us}"
                expiry = view.now + timedelta(hours=1)
                proposals.append(Proposal(cause, meter, kind, "too much", expiry))
        return Outcome(outputs, findings, proposals)

    def on_time(self, _view: GroupView) -> Outcome:
        self.wake_count += 1
        return NOTHING

    def not_now(self, _view: GroupView) -> NotNow | None:
        """Object as the configuration says, until somebody changes the limit."""
        said = self.settings.config.get("not_now")
        if self.limit_wh != self.settings.config.get("limit_wh", 1000):
            return None
        if said == "break":
            raise ZeroDivisionError("an app's bug")
        return NotNow(*said) if isinstance(said, list) else said  # type: ignore[return-value] # odd on purpose

    def history_wanted(self, _view: GroupView, asked: Asked) -> HistoryWanted | None:
        if isinstance(asked.arguments, Over) and asked.meter is not None:
            span = asked.arguments
            return HistoryWanted((IMPORT_ENERGY,), span.start, span.end, (asked.meter,))
        return None

    def answer(self, view: GroupView, asked: Asked, history: History) -> Answer:
        arguments = asked.arguments
        if isinstance(arguments, SetLimit):
            before, self.limit_wh = self.limit_wh, arguments.limit_wh
            if self.limit_wh < 0:
                raise OverflowError("negative")
            if self.limit_wh > MOST_WH:
                raise InvalidInputError(f"The limit is {self.limit_wh} Wh; {MOST_WH} is the most.")
            said = Output(None, "limit", view.now, {"limit_wh": self.limit_wh}, self.limit_wh)
            return Answer({"before": before, "limit_wh": self.limit_wh}, Outcome([said]))
        if isinstance(arguments, Over):
            table = history[IMPORT_ENERGY]
            return Answer(
                {
                    "energy_wh": int(table.gain.sum()) // arguments.divide_by,
                    "known": int(table.is_known.sum()),
                }
            )
        if asked.meter not in self.energy_wh:
            raise NotFoundError(f"Nothing was counted of meter {asked.meter}.")
        known = self.energy_wh[str(asked.meter)]
        return Answer(
            {
                "energy": Decimal(sum(known.values())) / 1000,
                "quarters": len(known),
                "limit_wh": self.limit_wh,
                "since_us": view.intervals.first_us,
            }
        )

    def share(self, meters: Sequence[MeterId]) -> bytes:
        counted = {str(each): self.energy_wh[each] for each in meters if each in self.energy_wh}
        return self._packed(counted, self.limit_wh)

    def join(self, states: Sequence[bytes]) -> bytes:
        parts = [msgspec.json.decode(octets) for octets in states]
        energy_wh = {meter: dict(known) for part in parts for meter, known in part["energy"]}
        return self._packed(energy_wh, parts[0]["limit_wh"])

    def save(self) -> bytes:
        return self._packed(self.energy_wh, self.limit_wh)

    def _packed(self, energy_wh: Mapping[str, Mapping[int, int]], limit_wh: int) -> bytes:
        plain: Mapping[str, object] = {
            "version": self.version,
            "limit_wh": limit_wh,
            "energy": [[meter, sorted(energy_wh[meter].items())] for meter in sorted(energy_wh)],
        }
        return msgspec.json.encode(plain)

    def restore(self, octets: bytes) -> None:
        saved = msgspec.json.decode(octets)
        if saved["version"] != self.version:
            raise AppStateError(
                f"Version {saved['version']} wrote this state, {self.version} cannot read it."
            )
        self.limit_wh = saved["limit_wh"]
        self.energy_wh = {meter: dict(known) for meter, known in saved["energy"]}


def odd(output: Output, settings: AppSettings) -> Output:
    """Return the output, or what no app may say if a test wants that."""
    changes: dict[str, dict[str, object]] = {
        "value": {"value": {"energy": object()}},
        "meter": {"meter": "a.b"},
        "at": {"at": output.at.replace(tzinfo=None)},
    }
    return replace(output, **changes.get(str(settings.config.get("says_odd")), {}))  # type: ignore[arg-type] # wrong on purpose
