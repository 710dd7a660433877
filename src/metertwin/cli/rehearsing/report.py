"""What a rehearsal found, for people and for programs."""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

from metertwin.apps.app import Output
from metertwin.apps.rehearsal.difference import Difference
from metertwin.apps.rehearsal.run import Rehearsal
from metertwin.cli.show import console, table

_SHOWN_COUNT = 20


def plain_rehearsal(said: Rehearsal) -> dict[str, Any]:
    """Return a rehearsal as plain values."""
    return {
        "outputs": msgspec.to_builtins(said.outputs, builtin_types=(Decimal,), enc_hook=str),
        "findings": msgspec.to_builtins(said.findings),
        "proposals": msgspec.to_builtins(said.proposals),
    }


def plain_difference(told: Difference) -> dict[str, Any]:
    """Return a difference as plain values."""
    return {
        "is_empty": told.is_empty,
        "changed_outputs": [
            {
                "meter": each.after.meter,
                "name": each.after.name,
                "at": each.after.at,
                "before": msgspec.to_builtins(dict(each.before.value), enc_hook=str),
                "after": msgspec.to_builtins(dict(each.after.value), enc_hook=str),
            }
            for each in told.changed_outputs
        ],
        "added": plain_rehearsal(told.added),
        "removed": plain_rehearsal(told.removed),
    }


def show_rehearsal(title: str, said: Rehearsal) -> None:
    """Print how much of what an app said."""
    rows = [("output", name, count) for name, count in _names(said.outputs)]
    rows += [("finding", name, count) for name, count in _names(said.findings)]
    kinds = Counter(each.kind.value for each in said.proposals)
    rows += [("proposal", kind, count) for kind, count in sorted(kinds.items())]
    console.print(table(title, ("what", "name", "how many"), rows or [("nothing", "", 0)]))


def show_difference(told: Difference) -> None:
    """Print what would be different, the first twenty changes in full."""
    if told.is_empty:
        console.print("Nothing would be different.")
        return
    rows = [
        (each.after.meter or "the group", each.after.name, each.after.at.date(), what)
        for each in told.changed_outputs[:_SHOWN_COUNT]
        for what in [_changes(each.before, each.after)]
    ]
    if rows:
        console.print(table("Outputs that change", ("meter", "output", "of", "what"), rows))
    left_out = len(told.changed_outputs) - len(rows)
    if left_out:
        console.print(f"and {left_out} more; --json shows all.")
    for title, side in (("Only after", told.added), ("Only before", told.removed)):
        if side.outputs or side.findings or side.proposals:
            show_rehearsal(title, side)


def _names(said: Any) -> list[tuple[str, int]]:  # noqa: ANN401  outputs or findings
    return sorted(Counter(each.name for each in said).items())


def _changes(before: Output, after: Output) -> str:
    old, new = _flat(before.value), _flat(after.value)
    return ", ".join(
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in [*new, *(name for name in old if name not in new)]
        if old.get(name) != new.get(name)
    )


def _flat(value: Any) -> dict[str, str]:  # noqa: ANN401  what an app put out
    plain = msgspec.to_builtins(dict(value), enc_hook=str)
    return {name: str(each) for name, each in plain.items() if not isinstance(each, dict | list)}
