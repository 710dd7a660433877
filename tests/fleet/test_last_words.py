"""Why a part ended, found in a log that has gone on since."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.fleet.local.last_words import last_words

STARTED = '{"event": "role_started", "level": "info", "role": "simulate"}'
ENDED = '{"was_asked": false, "event": "role_ended", "level": "info", "role": "simulate"}'
WHY = "metertwin: scenario.yaml:2: there is no kind 'thft'; known are theft, outage."


@pytest.mark.parametrize(
    "after", [(), ("",), (STARTED,), (STARTED, ENDED), (STARTED, '{"level": "info", "event": "x"}')]
)
def test_what_the_next_run_logs_does_not_hide_the_reason(after: tuple[str, ...]) -> None:
    assert last_words("\n".join([STARTED, ENDED, WHY, *after])) == WHY


def test_a_warning_and_broken_lines_are_words() -> None:
    warning = '{"level": "warning", "event": "no_heartbeat"}'
    assert last_words(f"{STARTED}\n{warning}\n{ENDED}\n") == warning
    assert last_words(f"{STARTED}\n{{broken\n") == "{broken"


def test_a_part_that_only_told_its_life_is_quoted_as_it_is() -> None:
    assert last_words(f"{STARTED}\n{ENDED}\n") == ENDED
    assert last_words("") == ""


@given(st.text())
def test_any_text_is_taken(log: str) -> None:
    assert last_words(log) in {line.strip() for line in log.splitlines()} | {""}
