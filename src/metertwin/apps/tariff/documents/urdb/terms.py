"""What a URDB rate says beside energy and demand: fixed charges, minimums, generation, validity."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.documents.urdb.rate_fields import RateFields
from metertwin.apps.tariff.documents.urdb.structures import read_flag
from metertwin.apps.tariff.energy import EnergyCharge, Tier
from metertwin.apps.tariff.tariff import ChargePeriod, ExportTerms, FixedCharge, Metering
from metertwin.core.documents.place import Place

_FIXED_UNITS = {
    "$/month": ChargePeriod.MONTH,
    "$/day": ChargePeriod.DAY,
    "$/year": ChargePeriod.YEAR,
}
_RULES = {
    "net metering": Metering.NET_METERING_KWH,
    "net billing instantaneous": Metering.NET_BILLING,
    "net billing hourly": Metering.NET_BILLING,
    "buy all sell all": Metering.BUY_ALL_SELL_ALL,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = Decimal(4_102_444_800)  # the year 2100; milliseconds would be far beyond


def fixed_charges(rate: RateFields) -> tuple[FixedCharge, ...]:
    """Take what is due whatever is used."""
    monthly = rate.number("fixedmonthlycharge")
    first, unit = rate.number("fixedchargefirstmeter"), rate.text("fixedchargeunits")
    charges = []
    if first:
        if unit not in _FIXED_UNITS:
            rate.findings.lacks(
                "fixedchargeunits",
                unit or "nothing",
                f"it is none of {', '.join(_FIXED_UNITS)}",
                f"fixedchargefirstmeter, {first}, is billed once a month",
            )
        per = _FIXED_UNITS.get(unit, ChargePeriod.MONTH)
        charges.append(FixedCharge("fixed charge of the meter", first, per))
    if monthly and not first:
        charges.append(FixedCharge("fixed charge", monthly))
    elif monthly:
        rate.findings.lacks(
            "fixedmonthlycharge",
            monthly,
            "it is the old name of fixedchargefirstmeter, which the rate has as well",
            "fixedchargefirstmeter alone is billed",
        )
    rate.lacks(
        "fixedchargeeaaddl", "a bill is for one meter", "a customer's further meters cost nothing"
    )
    return tuple(charges)


def minimums(rate: RateFields) -> tuple[Decimal, Decimal]:
    """Take the least a month and a year cost."""
    per_month, per_year = rate.number("minmonthlycharge"), rate.number("annualmincharge")
    amount, unit = rate.number("mincharge"), rate.text("minchargeunits")
    named = {"$/month": ("minmonthlycharge", per_month), "$/year": ("annualmincharge", per_year)}
    if amount and unit not in {"$/month", "$/year"}:
        rate.findings.lacks(
            "mincharge",
            f"{amount} {unit}",
            "a minimum is of a month or a year",
            "this minimum is not billed",
        )
        return per_month, per_year
    name, other = named.get(unit, ("", Decimal(0)))
    if amount and other and amount != other:
        rate.findings.lacks(
            f"mincharge, {name}",
            f"{amount}, {other}",
            f"both are a minimum in {unit}",
            f"the larger, {max(amount, other)}, is billed at least",
        )
    if unit == "$/month":
        per_month = max(per_month, amount)
    elif unit == "$/year":
        per_year = max(per_year, amount)
    return per_month, per_year


def export_terms(rate: RateFields, energy: EnergyCharge) -> tuple[ExportTerms, EnergyCharge]:
    """Take the rules for energy fed in; the charge comes back with a selling price where needed."""
    rule = rate.text("dgrules")
    is_net = rate.read("usenetmetering", read_flag)
    metering = _RULES.get(rule.lower(), Metering.IMPORT_ONLY)
    sells = [tier.sell_per_kwh for tiers in energy.tiers for tier in tiers]
    if rule and rule.lower() not in _RULES:
        rate.findings.lacks(
            "dgrules", rule, f"known are {', '.join(_RULES)}", "energy fed in earns nothing"
        )
    elif not rule and is_net:
        metering = Metering.NET_METERING_KWH
    elif not rule and any(sells):
        metering = Metering.NET_BILLING
        rate.findings.lacks(
            "energyratestructure, sell",
            ", ".join(str(price) for price in sells),
            "there are selling prices and no dgrules",
            "what is fed in earns them, interval by interval",
        )
    if rule and is_net is not None and is_net != (metering is Metering.NET_METERING_KWH):
        rate.findings.lacks(
            "usenetmetering",
            "true" if is_net else "false",
            f"dgrules says {rule}, and both say what becomes of energy fed in",
            "dgrules alone counts",
        )
    if rule.lower() == "net billing hourly":
        rate.findings.lacks(
            "dgrules",
            rule,
            "energy drawn and fed in within one hour is not netted",
            "with meters that count both ways within an hour, more is bought and more is sold",
        )
    if metering is Metering.NET_METERING_KWH:
        rate.findings.notes.append(
            "URDB does not say when net-metering credits end; December, and 0 per kWh left, are "
            "taken: see export.true_up_month and true_up_per_kwh."
        )
        if any(sells):
            rate.findings.lacks(
                "energyratestructure, sell",
                ", ".join(str(price) for price in sells),
                "net metering sets kWh fed in against kWh drawn and sells none",
                "these prices are not paid",
            )
    elif metering is not Metering.IMPORT_ONLY and None in sells:
        rate.findings.lacks(
            "energyratestructure, sell",
            "nothing",
            f"{rule or 'the rule'} needs a selling price in each block",
            "0 is paid where none is given",
        )
        energy = replace(energy, tiers=tuple(map(_sold, energy.tiers)))
    return ExportTerms(metering), energy


def _sold(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    return tuple(replace(tier, sell_per_kwh=tier.sell_per_kwh or Decimal(0)) for tier in tiers)


def validity(rate: RateFields, zone: str) -> tuple[date | None, date | None]:
    """Take first and last day, given as seconds since 1970, as days of the zone."""
    first = rate.read("startdate", lambda place: _read_day(place, zone))
    last = rate.read("enddate", lambda place: _read_day(place, zone))
    if first and last and last < first:
        rate.findings.lacks(
            "enddate", last, f"it is before startdate, {first}", "the tariff has no last day"
        )
        return first, None
    return first, last


def _read_day(place: Place, zone: str) -> date:
    text = place.text("seconds since 1970")
    whole = re.sub(r"\.0+$", "", text)
    if not re.fullmatch("[0-9]{1,10}", whole) or int(whole) > _SECONDS_MAX:
        raise place.wrong(
            f"{text[:40]!r} are no seconds since 1970, up to {_SECONDS_MAX}; write the start of "
            "2012-01-01 UTC as 1325376000."
        )
    return (_EPOCH + timedelta(seconds=int(whole))).astimezone(ZoneInfo(zone)).date()
