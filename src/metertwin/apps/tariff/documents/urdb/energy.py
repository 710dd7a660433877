"""Energy prices of a URDB rate: periods, blocks, fuel adjustments by month."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.documents.urdb.findings import Findings
from metertwin.apps.tariff.documents.urdb.rate_fields import RateFields
from metertwin.apps.tariff.documents.urdb.schedules import Rows, calendar_of, read_schedule
from metertwin.apps.tariff.documents.urdb.structures import (
    EXACT,
    Block,
    read_number,
    read_structure,
    unit_of_blocks,
)
from metertwin.apps.tariff.energy import EnergyCharge, Tier, TierBasis, TierRule, TierUnit
from metertwin.core.documents.place import Place

_RULE_MISSING = (
    "The rate has blocks, and URDB does not say how energy of several periods fills them. Name the "
    "tier rule: monthly_share (the month's total fills the blocks, each is split by the periods' "
    "shares) or chronological (each interval's energy fills them as time goes on)."
)


def energy_charge(rate: RateFields, root: Place, tier_rule: TierRule | None) -> EnergyCharge | None:
    """Take a rate's energy prices; None if they could not be read, which is noted then."""
    ladders = rate.read("energyratestructure", lambda p: read_structure(p, rate.findings)) or []
    weekdays = rate.read("energyweekdayschedule", lambda p: read_schedule(p, len(ladders)))
    weekends = rate.read("energyweekendschedule", lambda p: read_schedule(p, len(ladders)))
    fuel = rate.read("fueladjustmentsmonthly", _read_fuel) or (Decimal(0),) * 12
    if rate.has_failed:
        return None
    if not ladders:
        root.wrong("The rate has no energyratestructure: there are no prices of energy to import.")
        return None
    if (weekdays is None or weekends is None) and len(ladders) > 1:
        root.wrong("The rate has several periods, and no schedules for weekdays and weekends.")
        return None
    always: Rows = ((0,) * 24,) * 12
    if weekdays != weekends:
        rate.findings.notes.append(
            "URDB does not say how holidays are billed; they are days like others: see "
            "energy.calendar.holidays."
        )
    split = _split_by_fuel(weekdays or always, weekends or always, fuel)
    note_unused("energyratestructure", len(ladders), {key[0] for key in split.keys}, rate.findings)
    used = [ladders[period] for period, _ in split.keys]
    has_blocks = any(len(ladder) > 1 for ladder in used)
    if has_blocks and tier_rule is None:
        root.wrong(_RULE_MISSING)
        return None
    if tier_rule is not None and not has_blocks:
        rate.findings.notes.append(f"No period has blocks; the tier rule {tier_rule} is not used.")
    basis = _basis(split.calendar, used, rate.findings)
    laddered = _with_same_limits(used) if basis is TierBasis.TOTAL else used
    return EnergyCharge(
        split.calendar,
        tuple(
            tuple(
                Tier(b.limit, EXACT.add(b.price_per_unit, adjustment), b.sell_per_unit)
                for b in ladder
            )
            for ladder, (_, adjustment) in zip(laddered, split.keys, strict=True)
        ),
        tier_rule if has_blocks else None,
        basis,
        tier_unit=unit_of_blocks("energyratestructure", used, TierUnit, rate.findings),
    )


def note_unused(name: str, count: int, used: set[int], findings: Findings) -> None:
    """Note which periods have prices and never hold."""
    for period in sorted(set(range(count)) - used):
        findings.notes.append(f"{name}[{period}] never holds by the schedules; it is left out.")


@dataclass(frozen=True, slots=True)
class _Split:
    """A calendar, and which URDB period and fuel adjustment each of its periods is."""

    calendar: Calendar
    keys: list[tuple[int, Decimal]]


def _split_by_fuel(weekdays: Rows, weekends: Rows, fuel: Sequence[Decimal]) -> _Split:
    """Return the calendar whose periods differ by URDB's period and the month's adjustment."""
    keys: dict[tuple[int, Decimal], int] = {}
    for rows in (weekdays, weekends):
        for row, adjustment in zip(rows, fuel, strict=True):
            for period in row:
                keys.setdefault((period, adjustment), len(keys))
    ordered = sorted(keys)
    positions = {key: position for position, key in enumerate(ordered)}

    def renamed(rows: Rows) -> Rows:
        return tuple(
            tuple(positions[period, adjustment] for period in row)
            for row, adjustment in zip(rows, fuel, strict=True)
        )

    has_fuel = len(set(fuel)) > 1
    names = [f"period {p}, fuel {a}" if has_fuel else f"period {p}" for p, a in ordered]
    return _Split(calendar_of(renamed(weekdays), renamed(weekends), names), ordered)


def _read_fuel(place: Place) -> tuple[Decimal, ...]:
    amounts = tuple(place.each("12 adjustments per kWh, January first", read_number))
    if len(amounts) != 12:
        raise place.wrong(f"There are {len(amounts)} adjustments; give one for each month.")
    return amounts


def _limits(ladder: Sequence[Block]) -> list[Decimal]:
    return [block.limit for block in ladder if block.limit is not None]


def _basis(calendar: Calendar, ladders: Sequence[Sequence[Block]], findings: Findings) -> TierBasis:
    """Say which energy fills the blocks: the total where a month's periods have the same limits."""
    for season in calendar.seasons:
        profiles = {calendar.day_profiles[index] for index in season.week}
        periods = {switch.period_index for switches in profiles for switch in switches}
        if len({tuple(_limits(ladders[index])) for index in periods}) > 1:
            findings.lacks(
                "energyratestructure, max",
                [_texts(_limits(ladder)) for ladder in ladders],
                f"periods of one month ({season.name}) have different limits, and URDB does not "
                "say which energy fills them",
                "each period's own energy fills its blocks, not the total",
            )
            return TierBasis.PERIOD
    return TierBasis.TOTAL


def _texts(limits: Sequence[Decimal]) -> str:
    return "/".join(map(str, limits)) or "none"


def _with_same_limits(ladders: Sequence[Sequence[Block]]) -> list[list[Block]]:
    """Return blocks that all have the limits of all; a block cut in two keeps its price."""
    limits = sorted({limit for ladder in ladders for limit in _limits(ladder)})
    result = []
    for ladder in ladders:
        own = []
        for limit in [*limits, None]:
            block = next(
                b for b in ladder if b.limit is None or (limit is not None and limit <= b.limit)
            )
            own.append(replace(block, limit=limit))
        result.append(own)
    return result
