"""Edits: values a person puts in place of what was measured or estimated, and takes back again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from metertwin.core.clock import to_us
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId, meter_id
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.vee.totals import shared

_US_PER_S = 1_000_000
_TIMES = ("interval_start", "at", "withdrawn_at")
_DIGITS_MAX = 20
_LENGTH_S_MAX = 10**10


class EditError(InvalidInputError):
    """An edit cannot be applied or read."""

    code = "input.vee_edit"


@dataclass(frozen=True, slots=True)
class Edit:
    """The energy of [interval_start, interval_start + length_s), as a person says it was.

    Attributes:
        meter: Whose.
        obis: Of which register.
        interval_start: First moment, with its zone, on the register's grid.
        length_s: Whole periods; more than one share the value evenly.
        value: Energy in the register's unit (Wh, varh), not negative, whole counts.
        by: Who says so.
        at: When they said it; of two edits of one interval the later one counts.
        reason: Why.
        withdrawn_by: Who took it back; empty while it counts.
        withdrawn_at: When.
        withdrawn_reason: Why.
    """

    meter: MeterId
    obis: Obis
    interval_start: datetime
    length_s: int
    value: Decimal
    by: str
    at: datetime
    reason: str
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None
    withdrawn_reason: str = ""

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise EditError(
                f"Edit of {self.obis} of meter {self.meter} cannot be used: {'; '.join(problems)}.",
                meter=self.meter,
            )

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was taken back."""
        return self.withdrawn_at is not None

    def withdrawn(self, *, by: str, at: datetime, reason: str) -> "Edit":
        """Return the edit as taken back: it changes nothing any more, but stays on record."""
        return replace(self, withdrawn_by=by, withdrawn_at=at, withdrawn_reason=reason)


def _problems(edit: Edit) -> Sequence[str]:
    times = {
        "interval_start": edit.interval_start,
        "at": edit.at,
        "withdrawn_at": edit.withdrawn_at,
    }
    problems = [
        f"{name} {time.isoformat()} has no zone"
        for name, time in times.items()
        if time is not None and time.utcoffset() is None
    ]
    if not 0 < edit.length_s <= _LENGTH_S_MAX:
        problems.append(f"length {edit.length_s} s is not above 0 or beyond {_LENGTH_S_MAX} s")
    if not _is_energy(edit.value):
        problems.append(f"value {edit.value} is not finite, below 0 or of more than 20 digits")
    if not (edit.by.strip() and edit.reason.strip()):
        problems.append("it does not say by whom and why")
    is_withdrawn = edit.withdrawn_at is not None
    if {bool(edit.withdrawn_by.strip()), bool(edit.withdrawn_reason.strip())} != {is_withdrawn}:
        problems.append("a withdrawal says by whom, when and why, or nothing at all")
    return problems


def _is_energy(value: Decimal) -> bool:
    """Say whether a value is one that decimal arithmetic keeps exact whatever the scaler."""
    if not value.is_finite() or value < 0:
        return False
    return len(value.as_tuple().digits) <= _DIGITS_MAX and abs(value.adjusted()) <= _DIGITS_MAX


@dataclass(frozen=True, slots=True)
class PlacedEdit:
    """An edit on the grid of a table: what it puts into which intervals.

    Attributes:
        edit: The edit.
        row: Meter's row.
        first_index: First interval.
        gains: Counts of each interval.
    """

    edit: Edit
    row: int
    first_index: int
    gains: tuple[int, ...]


def edits_about(edits: Sequence[Edit], table: IntervalTable) -> list[Edit]:
    """Return those edits that touch the table: its meters, its register, its time."""
    meters = set(table.meters)
    return [
        edit
        for edit in edits
        if edit.meter in meters
        and edit.obis == table.register.obis
        and to_us(edit.interval_start) < table.end_us
        and to_us(edit.interval_start) + edit.length_s * _US_PER_S > table.start_us
    ]


def place_edits(edits: Sequence[Edit], table: IntervalTable) -> list[PlacedEdit]:
    """Return the edits on the table's grid, in the order in which they count.

    Withdrawn ones are placed too: they are on record.

    Raises:
        EditError: Edits of another meter, register or time, off the grid, or of no whole counts;
            all that is wrong is told.
    """
    rows = {meter: row for row, meter in enumerate(table.meters)}
    placed, problems = [], []
    for edit in edits:
        if wrong := _misplaced(edit, table, rows):
            start = edit.interval_start.isoformat()
            problems.append(f"edit of {edit.obis} of meter {edit.meter} at {start}: {wrong}")
            continue
        count = edit.length_s // table.register.period_s
        first = (to_us(edit.interval_start) - table.start_us) // table.period_us
        gain = int(edit.value.scaleb(-table.register.scaler))
        placed.append(PlacedEdit(edit, rows[edit.meter], first, tuple(shared(gain, [1] * count))))
    if problems:
        raise EditError(f"{len(problems)} edits cannot be applied: {'; '.join(problems)}.")
    return sorted(placed, key=lambda each: each.edit.at)


def _misplaced(edit: Edit, table: IntervalTable, rows: Mapping[MeterId, int]) -> str:
    register = table.register
    start_us = to_us(edit.interval_start)
    end_us = start_us + edit.length_s * _US_PER_S
    if edit.meter not in rows or edit.obis != register.obis:
        return f"the table has no such meter or counts {register.obis}"
    if (start_us - table.start_us) % table.period_us or edit.length_s % register.period_s:
        return f"it does not begin and end on the grid of {register.period_s} s"
    if start_us < table.start_us or end_us > table.end_us:
        return "it reaches over the table's time; cut it there or take more time"
    counts = edit.value.scaleb(-register.scaler)
    if counts != counts.to_integral_value() or counts >= 1 << 62:
        unit = register.unit.symbol
        return f"{edit.value} {unit} is no whole number of counts of 10^{register.scaler} {unit}"
    return ""


def edit_to_plain(edit: Edit) -> dict[str, Any]:
    """Return an edit as plain values for storing: texts and one integer."""
    plain = asdict(edit) | {"obis": str(edit.obis), "value": str(edit.value)}
    for name in _TIMES:
        plain[name] = plain[name].isoformat() if plain[name] else ""
    return plain


def edit_from_plain(plain: Mapping[str, Any]) -> Edit:
    """Read what `edit_to_plain` wrote.

    Raises:
        EditError: A field is missing, unknown or of another form.
    """
    names = {each.name for each in fields(Edit)}
    if set(plain) != names:
        seen = sorted(map(str, plain))
        raise EditError(f"An edit has the fields {sorted(names)}, here are {seen}.")
    texts = names - {"length_s"}
    is_length = isinstance(plain["length_s"], int) and not isinstance(plain["length_s"], bool)
    if not is_length or not all(isinstance(plain[name], str) for name in texts):
        raise EditError("Fields of an edit are texts, its length whole seconds; check their types.")
    values = dict(plain)
    try:
        values["meter"] = meter_id(plain["meter"])
        values["obis"] = Obis.parse(plain["obis"])
        values["value"] = Decimal(plain["value"])
        for name in _TIMES:
            values[name] = datetime.fromisoformat(plain[name]) if plain[name] else None
    except (InvalidInputError, InvalidOperation, ValueError) as error:
        raise EditError(f"Edit cannot be read: {error}.") from error
    if values["interval_start"] is None or values["at"] is None:
        raise EditError("An edit says when its interval starts and when it was made.")
    return Edit(**values)
