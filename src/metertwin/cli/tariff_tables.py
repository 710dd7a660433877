"""A tariff's prices and terms as tables for the terminal."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.console import RenderableType
from rich.text import Text

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandCharge
from metertwin.apps.tariff.documents import tariff_to_plain
from metertwin.apps.tariff.energy import EnergyCharge
from metertwin.apps.tariff.tariff import Tariff
from metertwin.cli.show import table
from metertwin.cli.tariff_grid import PeriodMarks, grids, legend

_SHOWN_ABOVE = ("id", "version", "name", "energy", "demand")


def renderables(tariff: Tariff) -> Iterator[RenderableType]:
    """Yield all there is to show of a tariff, most important first."""
    yield Text(f"{tariff.name} ({tariff.id}, version {tariff.version})", style="bold")
    if isinstance(tariff.energy, EnergyCharge):
        yield _energy(tariff.energy, tariff.currency)
        yield from _calendar(
            tariff.energy.calendar, [tiers[0].price_per_kwh for tiers in tariff.energy.tiers]
        )
    else:
        yield Text("Energy at a price series that is given when bills are made.")
    for charge in tariff.demand:
        yield _demand(charge, tariff.currency)
        yield from _calendar(charge.calendar, [t[0].price_per_kw for t in charge.tiers])
    yield table("Terms", ("key", "value"), _terms(tariff))


def _energy(charge: EnergyCharge, currency: str) -> RenderableType:
    rows = [
        [name, number, _span(tiers[:number], "up_to_kwh"), tier.price_per_kwh, tier.sell_per_kwh]
        for name, tiers in zip(charge.calendar.periods, charge.tiers, strict=True)
        for number, tier in enumerate(tiers, 1)
    ]
    rule = f", blocks filled by {charge.tier_rule}" if charge.tier_rule else ""
    headings = ("period", "block", charge.tier_unit.value, "price", "feed-in")
    return table(f"Energy, {currency} per kWh{rule}", headings, rows)


def _demand(charge: DemandCharge, currency: str) -> RenderableType:
    rows = [
        [name, number, _span(tiers[:number], "up_to_kw"), tier.price_per_kw]
        for name, tiers in zip(charge.calendar.periods, charge.tiers, strict=True)
        for number, tier in enumerate(tiers, 1)
    ]
    unit = charge.measure.value
    return table(
        f"{charge.name}, {currency} per {unit} and month", ("period", "block", unit, "price"), rows
    )


def _span(blocks: Sequence[object], limit: str) -> str:
    """Return from where to where the last of some blocks goes."""
    below: Decimal | None = getattr(blocks[-2], limit) if len(blocks) > 1 else None
    above: Decimal | None = getattr(blocks[-1], limit)
    if below is None:
        return "all" if above is None else f"up to {above}"
    return f"above {below}" if above is None else f"{below} to {above}"


def _calendar(calendar: Calendar, prices: Sequence[Decimal]) -> Iterator[RenderableType]:
    if calendar == Calendar.always(calendar.periods[0]):
        return
    marks = PeriodMarks.of(calendar.periods, prices)
    yield legend(calendar, marks)
    yield from grids(calendar, marks)


def _terms(tariff: Tariff) -> Iterator[Sequence[object]]:
    for name, value in tariff_to_plain(tariff).items():
        if name not in _SHOWN_ABOVE:
            yield from _flat(name, value)


def _flat(name: str, value: object) -> Iterator[Sequence[object]]:
    if isinstance(value, dict):
        yield name, ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    elif isinstance(value, list):
        for item in value:
            yield from _flat(name, item)
    else:
        yield name, _text(value)


def _text(value: object) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
