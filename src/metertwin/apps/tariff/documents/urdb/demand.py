"""Demand charges of a URDB rate: by month, by time of use, and what raises them later."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandCharge, DemandMeasure, DemandTier, Ratchet
from metertwin.apps.tariff.documents.urdb.energy import note_unused
from metertwin.apps.tariff.documents.urdb.findings import Findings
from metertwin.apps.tariff.documents.urdb.rate_fields import RateFields
from metertwin.apps.tariff.documents.urdb.schedules import (
    Rows,
    calendar_of,
    read_row,
    read_schedule,
)
from metertwin.apps.tariff.documents.urdb.structures import (
    EXACT,
    Block,
    read_flag,
    read_number,
    read_structure,
    unit_of_blocks,
)
from metertwin.core.documents.place import Place

T = TypeVar("T")
_NO_RATCHET = "no ratchet"
_FLAT = "flat demand"
_TIME_OF_USE = "time-of-use demand"
_ALL_YEAR = frozenset(range(1, 13))


def demand_charges(rate: RateFields, root: Place) -> tuple[DemandCharge, ...]:
    """Take a rate's demand charges, with window and ratchet."""
    window_s = rate.read("demandwindow", _read_window_s) or 0
    found = [charge for charge in (_flat(rate, root), _time_of_use(rate, root)) if charge]
    charges = [replace(charge, window_s=window_s) for charge in found]
    ratchet = _ratchet(rate)
    if window_s and not charges:
        rate.findings.notes.append("demandwindow has nothing to say: there is no demand charge.")
    if ratchet is not None and not charges:
        rate.findings.lacks(
            "lookbackpercent, demandratchetpercentage",
            ratchet.share_ratio,
            "the rate has no demand charge that earlier months could raise",
            _NO_RATCHET,
        )
    elif ratchet is not None:
        _note_periods(rate, charges[0], ratchet)
        charges[0] = replace(charges[0], ratchet=ratchet)
        if len(charges) > 1:
            rate.findings.lacks(
                "lookbackpercent, demandratchetpercentage",
                ratchet.share_ratio,
                "URDB does not say which of the two demand charges earlier months raise",
                f"only the {charges[0].name} is raised",
            )
    return tuple(charges)


def _note_periods(rate: RateFields, charge: DemandCharge, ratchet: Ratchet) -> None:
    if charge.name == _TIME_OF_USE and len(charge.tiers) > 1:
        rate.findings.lacks(
            "lookbackpercent, demandratchetpercentage",
            ratchet.share_ratio,
            "URDB does not say which periods' demand of earlier months counts",
            "where several periods hold in a month, each is raised by its own demand of earlier "
            "months alone, not by that of other periods",
        )


def _flat(rate: RateFields, root: Place) -> DemandCharge | None:
    if "flatdemandstructure" not in rate.places:
        rate.has_no("flatdemandstructure", "flatdemandmonths", "flatdemandunit")
        return None
    ladders = rate.read("flatdemandstructure", lambda p: read_structure(p, rate.findings))
    months = rate.read("flatdemandmonths", lambda p: read_row(p, 12, len(ladders or [])))
    unit = rate.text("flatdemandunit")
    if rate.has_failed or not ladders:
        return None
    if months is None:
        if len(ladders) > 1:
            root.wrong("flatdemandstructure has several periods; flatdemandmonths is missing.")
            return None
        months = (0,) * 12
    rows: Rows = tuple((period,) * 24 for period in months)
    return _charge(_FLAT, (rows, rows), ladders, (unit, rate.findings))


def _time_of_use(rate: RateFields, root: Place) -> DemandCharge | None:
    if "demandratestructure" not in rate.places:
        schedules = ("demandweekdayschedule", "demandweekendschedule")
        rate.has_no("demandratestructure", *schedules, "demandrateunit")
        return None
    ladders = rate.read("demandratestructure", lambda p: read_structure(p, rate.findings))
    count = len(ladders or [])
    weekdays = rate.read("demandweekdayschedule", lambda p: read_schedule(p, count))
    weekends = rate.read("demandweekendschedule", lambda p: read_schedule(p, count))
    unit = rate.text("demandrateunit")
    if rate.has_failed or not ladders:
        return None
    if weekdays is None or weekends is None:
        root.wrong("demandratestructure needs demandweekdayschedule and demandweekendschedule.")
        return None
    return _charge(_TIME_OF_USE, (weekdays, weekends), ladders, (unit, rate.findings))


def _charge(
    name: str,
    schedules: tuple[Rows, Rows],
    ladders: list[list[Block]],
    stated: tuple[str, Findings],
) -> DemandCharge:
    unit, findings = stated
    if sells := [b.sell_per_unit for ladder in ladders for b in ladder if b.sell_per_unit]:
        findings.lacks(
            f"{name} structure, sell",
            ", ".join(map(str, sells)),
            "power that is fed in has no price in a tariff",
            "it earns nothing",
        )
    used = sorted({period for rows in schedules for row in rows for period in row})
    note_unused(f"{name} structure", len(ladders), set(used), findings)
    weekdays, weekends = (
        tuple(tuple(used.index(period) for period in row) for row in rows) for rows in schedules
    )
    blocks = [block for period in used for block in ladders[period]]
    others = sorted({b.unit for b in blocks if b.unit and b.unit.lower() != unit.lower()})
    if unit and others:
        findings.lacks(
            f"{name} structure, unit",
            ", ".join(others),
            f"the rate states {unit} for all of it",
            f"{unit} is taken",
        )
    names = [f"period {period}" for period in used]
    calendar = calendar_of(weekdays, weekends, names)
    if len(used) == 1:
        calendar = Calendar.always(names[0])
    return DemandCharge(
        name,
        calendar,
        tuple(
            tuple(DemandTier(b.limit, b.price_per_unit) for b in ladders[period]) for period in used
        ),
        # A price per kW is another than one per kVA, with a limit or without: all blocks count.
        measure=unit_of_blocks(
            name, [[replace(b, unit=unit or b.unit) for b in blocks]], DemandMeasure, findings
        ),
    )


def _ratchet(rate: RateFields) -> Ratchet | None:
    looked_back = _lookback(rate)
    name = "demandratchetpercentage"
    numbers = rate.read(name, lambda place: _read_year(place, "shares", read_number)) or []
    shares = [_share(rate, name, value) for value in numbers]
    months = frozenset(month for month, share in enumerate(shares, 1) if share > 0)
    if not months:
        return looked_back
    rate.findings.lacks(
        name,
        ", ".join(map(str, shares)),
        "URDB does not say over how many months, and one share is rated, in chosen months",
        "the largest share of the highest demand of the 12 months before is billed at least, in "
        "months that have one",
    )
    return looked_back or Ratchet(max(shares), 12, in_months=months)


def _lookback(rate: RateFields) -> Ratchet | None:
    share = _share(rate, "lookbackpercent", rate.number("lookbackpercent"))
    month_count = rate.read("lookbackrange", _read_month_count) or 0
    flags = rate.read("lookbackmonths", lambda p: _read_year(p, "flags", read_flag)) or []
    months = frozenset(month for month, is_on in enumerate(flags, 1) if is_on)
    if share == 0:
        _report_without_share(rate, month_count, months)
        return None
    if not months and not 1 <= month_count <= 12:
        rate.findings.lacks(
            "lookbackpercent", share, "neither months nor 1 to 12 of range go with it", _NO_RATCHET
        )
        return None
    if months and (months != _ALL_YEAR or month_count):
        rate.findings.lacks(
            "lookbackmonths",
            ", ".join(map(str, sorted(months))),
            "it may mean the months whose demand counts, or in which it counts; both are in use",
            "demand of these months counts in all of the 12 months after",
        )
    if months:
        return Ratchet(share, 12, from_months=months)
    return Ratchet(share, month_count)


def _report_without_share(rate: RateFields, month_count: int, months: frozenset[int]) -> None:
    for name, value in (
        ("lookbackrange", month_count),
        ("lookbackmonths", ", ".join(map(str, sorted(months)))),
    ):
        if value:
            rate.findings.lacks(
                name, value, "no share in lookbackpercent goes with it", _NO_RATCHET
            )


def _share(rate: RateFields, name: str, value: Decimal) -> Decimal:
    """Return a share of 1; what is above 1 is taken as percents."""
    if not 0 <= value <= 100:
        rate.findings.lacks(name, value, "it is no share and no percentage", _NO_RATCHET)
        return Decimal(0)
    if value > 1:
        rate.findings.notes.append(f"{name} of {value} is taken as percent.")
        return EXACT.divide(value, Decimal(100))
    return value


def _read_window_s(place: Place) -> int:
    minutes = read_number(place)
    if not 0 <= minutes <= 1440 or minutes * 60 != int(minutes * 60):
        raise place.wrong(f"A demand window of {minutes} minutes is not possible; give 0 to 1440.")
    return int(minutes * 60)


def _read_month_count(place: Place) -> int:
    count = read_number(place)
    if count != int(count) or count < 0:
        raise place.wrong(f"{count} is no number of months; give a whole number, 0 to 12.")
    return int(count)


def _read_year(place: Place, what: str, reader: Callable[[Place], T]) -> list[T]:
    values = place.each(f"12 {what}, January first", reader)
    if len(values) != 12:
        raise place.wrong(f"There are {len(values)} {what}; give one for each of 12 months.")
    return values
