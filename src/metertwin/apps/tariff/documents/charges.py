"""Prices by period and block, of energy and of power: what stands beside a calendar.

A period has one price, or blocks with limits. Without `calendar` its one period holds always.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.demand import DemandTier
from metertwin.apps.tariff.documents.calendars import calendar_to_plain, read_calendar
from metertwin.apps.tariff.documents.scalars import read_decimal, unit_of
from metertwin.apps.tariff.energy import Tier
from metertwin.core.documents.place import Place
from metertwin.core.documents.problems import Refused

Block = TypeVar("Block", Tier, DemandTier)

ENERGY_PERIOD_KEYS = ("price_per_kwh", "sell_per_kwh", "blocks")
ENERGY_BLOCK_KEYS = ("up_to_kwh", "price_per_kwh", "sell_per_kwh")
DEMAND_PERIOD_KEYS = ("price_per_kw", "blocks")
DEMAND_BLOCK_KEYS = ("up_to_kw", "price_per_kw")
_TIER_RULE_MISSING = (
    "The key tier_rule is missing. With blocks, the same usage costs more or less depending on how "
    "it fills them, so the tariff says which: monthly_share (the month's total fills the blocks, "
    "each is split by the periods' shares) or chronological (each interval's energy fills the "
    "blocks as time goes on)."
)


def read_periods(
    place: Place, reader: Callable[[Place], tuple[Block, ...]]
) -> tuple[Calendar, tuple[tuple[Block, ...], ...]]:
    """Read `periods`, and the `calendar` that says when each holds, of a charge."""
    parts = place.entries("keys")
    ladders: dict[str, tuple[Block, ...]] = {}
    if "periods" in parts:
        with place.part():
            periods = parts["periods"]
            for name, period in periods.entries("periods with their prices").items():
                ladders[name] = ()
                with place.part():
                    ladders[name] = reader(period)
    names = list(ladders)
    if "calendar" in parts:
        if names:
            with place.part():
                calendar = read_calendar(parts["calendar"], names)
    elif len(names) > 1:
        place.wrong("The key calendar is missing; it says when each of the periods holds.")
        place.has_failed = True
    elif names:
        calendar = Calendar.always(names[0])
    if place.has_failed or not names:
        raise Refused
    return calendar, tuple(ladders.values())


def check_tier_rule(place: Place, tiers: Sequence[Sequence[Tier]], *, is_named: bool) -> None:
    """Refuse blocks without a tier rule, saying why one is needed."""
    if any(len(ladder) > 1 for ladder in tiers) and not is_named:
        raise place.wrong(_TIER_RULE_MISSING)


def read_energy_period(place: Place) -> tuple[Tier, ...]:
    """Read one price of energy, or blocks."""
    parts = place.fields(ENERGY_PERIOD_KEYS)
    if "blocks" in parts:
        _refuse_beside_blocks(place, parts)
        return _read_ladder(parts["blocks"], _read_tier, "up_to_kwh", ENERGY_BLOCK_KEYS)
    return (_read_tier(place, parts),)


def read_demand_period(place: Place) -> tuple[DemandTier, ...]:
    """Read one price of power, or blocks."""
    parts = place.fields(DEMAND_PERIOD_KEYS)
    if "blocks" in parts:
        _refuse_beside_blocks(place, parts)
        return _read_ladder(parts["blocks"], _read_demand_tier, "up_to_kw", DEMAND_BLOCK_KEYS)
    return (_read_demand_tier(place, parts),)


def _refuse_beside_blocks(place: Place, parts: dict[str, Place]) -> None:
    for key, part in parts.items():
        if key != "blocks":
            part.wrong(f"The period has blocks; write {key} into each of them.")
            place.has_failed = True
    place.finish()


def _read_tier(place: Place, parts: dict[str, Place]) -> Tier:
    numbers = _numbers(place, parts, "price_per_kwh")
    return Tier(numbers.get("up_to_kwh"), numbers["price_per_kwh"], numbers.get("sell_per_kwh"))


def _read_demand_tier(place: Place, parts: dict[str, Place]) -> DemandTier:
    numbers = _numbers(place, parts, "price_per_kw")
    return DemandTier(numbers.get("up_to_kw"), numbers["price_per_kw"])


def _numbers(place: Place, parts: dict[str, Place], required: str) -> dict[str, Decimal]:
    numbers: dict[str, Decimal] = {}
    if required not in parts:
        place.wrong(f"The key {required} is missing.")
        place.has_failed = True
    for key, part in parts.items():
        with place.part():
            numbers[key] = read_decimal(part, key)
    place.finish()
    return numbers


def _read_ladder(
    place: Place,
    reader: Callable[[Place, dict[str, Place]], Block],
    limit: str,
    keys: Sequence[str],
) -> tuple[Block, ...]:
    items = place.items("blocks")
    blocks = place.each("blocks", lambda item: reader(item, item.fields(keys)))
    below = Decimal(0)
    for item, block in zip(items[:-1], blocks[:-1], strict=True):
        bound: Decimal | None = getattr(block, limit)
        if bound is None:
            raise item.wrong(f"The key {limit} is missing; only the last block has no limit.")
        if bound <= below:
            raise item.wrong(
                f"{limit} is {bound}{unit_of(limit)} after {below}{unit_of(limit)}; limits ascend "
                "from above 0."
            )
        below = bound
    if not blocks:
        raise place.wrong("The list of blocks is empty; leave it out or give one.")
    if getattr(blocks[-1], limit) is not None:
        raise items[-1].wrong(
            f"The last block has a limit; without a price for what is above {limit}, add a block "
            "without limit."
        )
    return tuple(blocks)


def periods_to_plain(
    calendar: Calendar, tiers: Sequence[Sequence[Tier] | Sequence[DemandTier]]
) -> dict[str, object]:
    """Return the keys `periods` and, where it is needed, `calendar`."""
    plain: dict[str, object] = {}
    if calendar != Calendar.always(calendar.periods[0]):
        plain["calendar"] = calendar_to_plain(calendar)
    plain["periods"] = {
        name: _block(ladder[0]) if len(ladder) == 1 else {"blocks": [_block(b) for b in ladder]}
        for name, ladder in zip(calendar.periods, tiers, strict=True)
    }
    return plain


def _block(block: Tier | DemandTier) -> dict[str, Decimal]:
    values = {name: getattr(block, name) for name in block.__slots__}
    return {name: value for name, value in values.items() if value is not None}
