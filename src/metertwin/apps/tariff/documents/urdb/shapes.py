"""Files in which URDB rates come: one rate, an API answer with `items`, JSON inside a JSON string.

Numbers stay as they are written: 19.538999557495117, a price that once went through a
single-precision float, is that decimal and no other.
"""

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

from metertwin.apps.tariff.documents.problems import TariffDocumentError
from metertwin.apps.tariff.documents.urdb.fields import BILLED
from metertwin.core.documents.problems import Problem
from metertwin.core.documents.scalars import shown

TEXT_MAX_BYTES = 8_388_608
_NESTED_MAX = 3


def read_urdb(text: str, where: str) -> list[Mapping[str, object]]:
    """Return the rates of a file, numbers as int and Decimal.

    Args:
        text: JSON, at most 8 MiB.
        where: Names it in errors.

    Raises:
        TariffDocumentError: It is no JSON, or holds no rate: also where the API answers with an
            error, or lists rates without their prices.

    Example:
        >>> read_urdb('{"items": [{"name": "LP1", "fixedmonthlycharge": 35.28}]}', "lp1.json")
        [{'name': 'LP1', 'fixedmonthlycharge': Decimal('35.28')}]
    """
    if len(text) > TEXT_MAX_BYTES:
        _refuse(where, f"The file has {len(text)} characters; {TEXT_MAX_BYTES} is most.")
    value: object = text
    for _ in range(_NESTED_MAX):
        if not isinstance(value, str):
            break
        value = _decoded(value, where)
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        value = value["items"]
    given = value if isinstance(value, list) else [value]
    rates: list[Mapping[str, object]] = [rate for rate in given if isinstance(rate, dict) and rate]
    if not rates or len(rates) < len(given):
        _refuse(where, "This holds no rate; give a rate as a JSON object, or `items` with rates.")
    for rate in rates:
        if not any(name.lower() in BILLED for name in rate):
            _refuse(
                where,
                f"This is no rate: it has {', '.join(map(shown, sorted(rate)[:5]))}, and no field "
                "that prices anything, such as energyratestructure. The API answers so when it "
                "refuses a request, or without detail=full.",
            )
    return rates


def _decoded(text: str, where: str) -> object:
    try:
        return json.loads(
            text, parse_float=_decimal, parse_constant=_decimal, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        _refuse(where, f"This is no JSON: {error.msg}.", error.lineno)
    except (ValueError, ArithmeticError, RecursionError) as error:  # ours, or of absurd size
        _refuse(where, f"This is no JSON that can be read: {error}.")


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text} is no finite number")
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    counts = Counter(name for name, _ in pairs)
    if len(counts) < len(pairs):
        raise ValueError(f"the key {shown(counts.most_common(1)[0][0])} stands in one object twice")
    return dict(pairs)


def _refuse(where: str, sentence: str, line_number: int | None = None) -> NoReturn:
    raise TariffDocumentError(where, [Problem("", line_number, sentence)]) from None
