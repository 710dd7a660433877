"""URDB's rate structures: for each period a list of blocks with limit, price and unit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar

from metertwin.apps.tariff.documents.urdb.findings import Findings
from metertwin.core.documents.place import Place
from metertwin.core.documents.scalars import shown

Unit = TypeVar("Unit", bound=StrEnum)

NO_LIMIT = Decimal("1e+15")  # files have 1e+38, 9.999999680285692e+37 (its float) and 1e+99
EXACT = Context(prec=100)  # of sums of numbers as `read_number` limits them
_NUMBER_MAX = Decimal("1e+9")
_FRACTION_DIGITS_MAX = 20
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(E[+-]?[0-9]{1,4})?")
_TIER_FIELDS = ("max", "rate", "adj", "sell", "unit")


@dataclass(frozen=True, slots=True)
class Block:
    """A block as URDB has it: upper limit (None: none), price with adjustment, price of sales."""

    limit: Decimal | None
    price_per_unit: Decimal
    sell_per_unit: Decimal | None
    unit: str | None


def read_number(place: Place) -> Decimal:
    """Read a number of at most 10^9, with 20 digits behind the point."""
    value = _read_any(place)
    if abs(value) > _NUMBER_MAX:
        raise place.wrong(f"{value} is beyond {_NUMBER_MAX:f}, too large for a rate.")
    return value


def _read_limit(place: Place) -> Decimal | None:
    limit = _read_any(place)
    return limit if limit < NO_LIMIT else None


def _read_any(place: Place) -> Decimal:
    text = place.text("a number")
    if not _NUMBER.fullmatch(text) or len(text) > 60:
        raise place.wrong(f"{shown(text)} is no number.")
    value = Decimal(text)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_FRACTION_DIGITS_MAX:
        raise place.wrong(f"{shown(text)} has more than {_FRACTION_DIGITS_MAX} digits.")
    return value


def read_index(place: Place) -> int:
    """Read a position, 0 to 999; some files write 1.0."""
    value = read_number(place)
    if value != value.to_integral_value() or not 0 <= value <= 999:
        raise place.wrong(f"{value} is no position in a list.")
    return int(value)


def read_flag(place: Place) -> bool:
    """Read true or false, or 1 or 0."""
    text = place.text("true or false")
    if text not in {"true", "false", "0", "1", "0.0", "1.0"}:
        raise place.wrong(f"{shown(text)} is neither true nor false.")
    return text in {"true", "1", "1.0"}


def read_structure(place: Place, findings: Findings) -> list[list[Block]]:
    """Read the blocks of each period."""
    ladders = place.each("periods", lambda period: _read_ladder(period, findings))
    if not ladders:
        raise place.wrong("The list of periods is empty.")
    return ladders


def _read_ladder(place: Place, findings: Findings) -> list[Block]:
    items = place.items("blocks")
    blocks = place.each("blocks", lambda item: _read_block(item, findings))
    if not blocks:
        raise place.wrong("A period without a price.")
    for item, block in zip(items[:-1], blocks[:-1], strict=True):
        if block.limit is None:
            raise item.wrong("The block has no `max`, and is not the last.")
    _check_ascent(items, blocks)
    last = blocks[-1]
    if last.limit is not None:
        findings.lacks(
            f"{items[-1].path}.max",
            last.limit,
            "it limits the last block, and no price is given for what is above",
            "what is above is billed at the last block's price",
        )
        blocks[-1] = Block(None, last.price_per_unit, last.sell_per_unit, last.unit)
    return blocks


def _check_ascent(items: Sequence[Place], blocks: Sequence[Block]) -> None:
    for item, (below, above) in zip(items[1:], pairwise(blocks), strict=True):
        if below.limit is not None and above.limit is not None and above.limit <= below.limit:
            raise item.wrong(
                f"The block's `max` of {above.limit:f} is not above {below.limit:f}, the one "
                "before it: no energy or power would ever fall into it. Check the order of the "
                "blocks."
            )


def _read_block(place: Place, findings: Findings) -> Block:
    parts = place.entries("fields of a block")
    numbers: dict[str, Decimal] = {}
    limit: Decimal | None = None
    for name in ("max", "rate", "adj", "sell"):
        if name in parts and parts[name].node.content is not None:
            with place.part():
                if name == "max":
                    limit = _read_limit(parts[name])
                else:
                    numbers[name] = read_number(parts[name])
    place.finish()
    for name, part in parts.items():
        if name not in _TIER_FIELDS:
            findings.lacks(
                part.path, part.node.content, "this field of a block is not known", "unknown"
            )
    if "rate" not in numbers:
        findings.notes.append(f"{place.path} has no rate; 0 is taken.")
    unit = None
    if "unit" in parts and parts["unit"].node.content is not None:
        unit = parts["unit"].text("a unit")
    price = EXACT.add(numbers.get("rate", Decimal(0)), numbers.get("adj", Decimal(0)))
    return Block(limit, price, numbers.get("sell"), unit)


def unit_of_blocks(
    name: str, ladders: Sequence[Sequence[Block]], known: type[Unit], findings: Findings
) -> Unit:
    """Return the unit that all blocks with limits share.

    A block's unit says what its limit counts; prices are per kWh or kW in any case. Periods
    without limits have no say.
    """
    by_text = {unit.value.lower(): unit for unit in known}
    default = next(iter(known))
    limited = [ladder for ladder in ladders if len(ladder) > 1] or ladders
    units = sorted({block.unit for ladder in limited for block in ladder if block.unit})
    if not units:
        findings.notes.append(f"{name} states no unit; {default.value} is taken.")
    found = [by_text[unit.lower()] for unit in units if unit.lower() in by_text]
    taken = found[0] if found else default
    if len(units) != len(found) or len(units) > 1:
        findings.lacks(
            f"{name}, unit",
            ", ".join(units),
            f"all blocks have one unit of {', '.join(unit.value for unit in known)}",
            f"{taken.value} is taken",
        )
    return taken
