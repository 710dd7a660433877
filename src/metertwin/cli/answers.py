"""How answers of twins and their apps are shown: bills with their reasons, lists as tables."""

import re
from typing import Any, TypeGuard

import yaml

from metertwin.cli.show import age, console, table

Plain = dict[str, Any]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:\d\d)")
# What every answer of an app rests on stands below it, not among its values.
_BASIS = "basis"
_BASIS_FIELDS = {
    "tariff",
    "tariff_version",
    "metering",
    "age_s",
    "estimated_count",
    "missing_count",
    "notes",
}
_BILL_FIELDS = {
    "meter",
    "month",
    "end",
    "is_final",
    "tariff",
    "tariff_version",
    "lines",
    "total",
    "currency",
}
_LINE_FIELDS = {"name", "period", "tier", "quantity", "unit", "rate", "amount", "because"}


def show_answer(title: str, answer: object) -> None:
    """Print an answer: values, then what has rows of its own, then what it rests on."""
    if not isinstance(answer, dict):
        answer = {"answer": answer}
    bill = answer.get("bill")
    if _is_bill(bill):
        show_bill(bill)
        answer = {name: value for name, value in answer.items() if name != "bill"}
    whole = {n: v for n, v in answer.items() if n != _BASIS and not _has_rows(v)}
    single = {n: v for n, v in whole.items() if v != [] and not _is_deep(v)}
    if single:
        rows = [[_words(name), *_value_and_age(value)] for name, value in single.items()]
        console.print(table(title, ("what", "value", "age"), rows))
    for name, value in answer.items():
        if _has_rows(value):
            _show_rows(_words(name), value)
        elif name in whole and _is_deep(value):
            _show_deep(name, value)
    basis = answer.get(_BASIS)
    if _is_basis(basis):
        _show_basis(basis)
    elif basis is not None:
        _show_deep(_BASIS, basis)


def show_bill(bill: Plain) -> None:
    """Print a bill as its customer reads it: lines, total, and the reason of each line."""
    extent = "" if bill["is_final"] else f" so far, up to {_shown(bill['end'])}"
    title = (
        f"Bill of {bill['meter']} for the month from {bill['month']}{extent}, tariff "
        f"{bill['tariff']} version {bill['tariff_version']}"
    )
    rows = [
        (
            _line_name(line),
            "" if line["quantity"] is None else f"{line['quantity']} {line['unit']}".strip(),
            "" if line["rate"] is None else line["rate"],
            line["amount"],
        )
        for line in bill["lines"]
    ]
    rows.append(("total", "", "", f"{bill['total']} {bill['currency']}"))
    console.print(table(title, ("line", "quantity", "rate", "amount"), rows))
    for line in bill["lines"]:
        _say(f"  {_line_name(line)}: {line['because']}")


def _line_name(line: Plain) -> str:
    block = f" block {line['tier']}" if line["tier"] else ""
    period = f", {line['period']}" if line["period"] not in {"", line["name"]} else ""
    return f"{line['name']}{period}{block}"


def _show_basis(basis: Plain) -> None:
    rule = f", blocks filled {_words(basis['tier_rule'])}" if basis.get("tier_rule") else ""
    _say(
        f"Tariff {basis['tariff']} version {basis['tariff_version']}, "
        f"{_words(basis['metering'])}{rule}; newest interval {age(basis['age_s'])} old, "
        f"{basis['estimated_count']} estimated, {basis['missing_count']} missing."
    )
    for note in basis["notes"]:
        _say(f"  {note}")


def _show_rows(title: str, rows: list[Plain]) -> None:
    rows = [_with_tariff(row) for row in rows]
    names = [name for name in rows[0] if not any(_is_nested(row.get(name)) for row in rows)]
    shown = [[_cell(row.get(name)) for name in names] for row in rows]
    console.print(table(title, [_words(name) for name in names], shown))
    for row in rows:
        why = row.get("why")
        for sentence in why if isinstance(why, list) else []:
            _say(f"  {sentence}")


def _show_deep(name: str, value: object) -> None:
    _say(f"{_words(name)}\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True)}")


def _say(text: str) -> None:
    """Print what came from elsewhere as it is: brackets in it are no markup."""
    console.print(text, highlight=False, markup=False)


def _is_bill(value: object) -> TypeGuard[Plain]:
    """Say whether a value is a bill; an app of somebody else may call another thing so."""
    if not isinstance(value, dict) or not value.keys() >= _BILL_FIELDS:
        return False
    lines = value["lines"]
    return isinstance(lines, list) and all(
        isinstance(line, dict) and line.keys() >= _LINE_FIELDS for line in lines
    )


def _is_basis(value: object) -> TypeGuard[Plain]:
    return isinstance(value, dict) and value.keys() >= _BASIS_FIELDS


def _with_tariff(row: Plain) -> Plain:
    """Return a row that rests on a tariff of its own with the tariff before the rest."""
    basis = row.get(_BASIS)
    return {"tariff": basis["tariff"], **row} if _is_basis(basis) else row


def _is_deep(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values())


def _has_rows(value: object) -> TypeGuard[list[Plain]]:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _is_nested(value: object) -> bool:
    return isinstance(value, dict | list)


def _value_and_age(value: object) -> tuple[str, str]:
    if isinstance(value, dict) and "captured_at" in value and "value" in value:
        return f"{value['value']} {value['unit']}".strip(), age(value["age_s"])
    if isinstance(value, list):
        return ("; ".join(map(str, value)) if len(value) < 4 else f"{len(value)} of them"), ""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()), ""
    return "-" if value is None else str(_shown(value)), ""


def _cell(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else _shown(value)


def _shown(value: object) -> object:
    """Return times as people read them, to the minute; other values as they are."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return value
    zone = "UTC" if value.endswith("Z") else value[-6:]
    return f"{value[:10]} {value[11:16]} {zone}"


def _words(name: str) -> str:
    return name.replace("_", " ")
