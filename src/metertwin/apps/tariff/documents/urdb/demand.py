"""Demand charges of a URDB rate: by month, by time of use, and what raises them later."""

from dataclasses import replace
from decimal import Decimal

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandCharge, DemandMeasure, DemandTier, Ratchet
from metertwin.apps.tariff.documents.place import Place
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
    read_number,
    read_structure,
    unit_of_blocks,
)

_ALL_YEAR = frozenset(range(1, 13))


def demand_charges(rate: RateFields, root: Place) -> tuple[DemandCharge, ...]:
    """Take a rate's demand charges, with window and ratchet."""
    window_s = rate.read("demandwindow", _read_window_s) or 0
    found = [charge for charge in (_flat(rate, root), _time_of_use(rate, root)) if charge]
    charges = [replace(charge, window_s=window_s) for charge in found]
    ratchet = _ratchet(rate)
    if ratchet is not None and not charges:
        rate.findings.lacks(
            "lookbackpercent, demandratchetpercentage",
            ratchet.share_ratio,
            "the rate has no demand charge that earlier months could raise",
            "no ratchet",
        )
    elif ratchet is not None:
        charges[0] = replace(charges[0], ratchet=ratchet)
        if len(charges) > 1:
            rate.findings.lacks(
                "lookbackpercent, demandratchetpercentage",
                ratchet.share_ratio,
                "URDB does not say which of the two demand charges earlier months raise",
                f"only the {charges[0].name} is raised",
            )
    return tuple(charges)


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
    return _charge("flat demand", (rows, rows), ladders, (unit, rate.findings))


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
    return _charge("time-of-use demand", (weekdays, weekends), ladders, (unit, rate.findings))


def _charge(
    name: str,
    schedules: tuple[Rows, Rows],
    ladders: list[list[Block]],
    stated: tuple[str, Findings],
) -> DemandCharge:
    unit, findings = stated
    used = sorted({period for rows in schedules for row in rows for period in row})
    note_unused(f"{name} structure", len(ladders), set(used), findings)
    weekdays, weekends = (
        tuple(tuple(used.index(period) for period in row) for row in rows) for rows in schedules
    )
    in_units = [[replace(b, unit=unit or b.unit) for b in ladders[period]] for period in used]
    names = [f"period {period}" for period in used]
    calendar = calendar_of(weekdays, weekends, names)
    if len(used) == 1:
        calendar = Calendar.always(names[0])
    return DemandCharge(
        name,
        calendar,
        tuple(tuple(DemandTier(b.limit, b.price_per_unit) for b in ladder) for ladder in in_units),
        measure=unit_of_blocks(name, in_units, DemandMeasure, findings),
    )


def _ratchet(rate: RateFields) -> Ratchet | None:
    looked_back = _lookback(rate)
    name = "demandratchetpercentage"
    numbers = rate.read(name, lambda place: place.each("12 shares", read_number)) or []
    shares = [_share(rate, name, value) for value in numbers]
    months = frozenset(month for month, share in enumerate(shares[:12], 1) if share > 0)
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
    month_count = int(rate.number("lookbackrange"))
    flags = rate.read("lookbackmonths", lambda p: p.each("months", _read_flag)) or []
    months = frozenset(month for month, is_on in enumerate(flags[:12], 1) if is_on)
    if share == 0:
        return None
    if not months and not 1 <= month_count <= 12:
        rate.findings.lacks(
            "lookbackpercent", share, "neither months nor 1 to 12 of range go with it", "no ratchet"
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


def _share(rate: RateFields, name: str, value: Decimal) -> Decimal:
    """Return a share of 1; what is above 1 is taken as percents."""
    if not 0 <= value <= 100:
        rate.findings.lacks(name, value, "it is no share and no percentage", "no ratchet")
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


def _read_flag(place: Place) -> bool:
    text = place.text("true or false")
    if text not in {"true", "false", "0", "1", "0.0", "1.0"}:
        raise place.wrong(f"{text!r} is neither true nor false.")
    return text in {"true", "1", "1.0"}
