"""The examples of docs/billing.md are what the app answers."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.apps.tariff.app.billing_world import at, host_of

DOCUMENT = Path(__file__).parents[4] / "docs" / "billing.md"
EXAMPLE = re.compile(
    r"<!-- request( of the group)?: (\w+) (\{[^\n]*\}) -->\n```json\n(.*?)\n```", re.DOTALL
)
EXAMPLES = [match.groups() for match in EXAMPLE.finditer(DOCUMENT.read_text())]


@pytest.mark.parametrize(("of_group", "name", "arguments", "told"), EXAMPLES)
def test_an_example_of_the_document_is_what_is_answered(
    of_group: str | None, name: str, arguments: str, told: str
) -> None:
    host = host_of("2026-01-31T23:00", 70, terms={"m1": {"tariff": "two-rate"}})
    host.run_until(at("2026-03-11T00:00"), [500])
    meter = None if of_group else "m1"
    answer = host.ask(name, meter, **json.loads(arguments))
    assert within(json.loads(told), json.loads(msgspec.json.encode(answer)))


def within(part: Any, whole: Any) -> bool:  # noqa: ANN401  any JSON
    """Say whether a document's example is a part of the answer; lists are whole."""
    if isinstance(part, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    assert part == whole
    return True


def test_the_document_has_examples_of_the_main_requests() -> None:
    assert len(EXAMPLES) == 7
