"""Ids fit into a bus subject and into a file name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.ids import IdError, command_id, group_id, meter_id, site_id


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True))
def test_a_good_token_is_returned_as_it_is(text: str) -> None:
    assert {meter_id(text), group_id(text), site_id(text), command_id(text)} == {text}


@pytest.mark.parametrize(
    "text",
    ["", "_", "-a", "a.b", "a*", "a>", "a/b", "a b", "a\n", "ä", "x" * 65, "..", "a\x00"],
)
def test_a_token_that_would_split_a_subject_or_leave_a_folder_is_refused(text: str) -> None:
    with pytest.raises(IdError) as caught:
        meter_id(text)
    assert str(caught.value) == (
        f"Meter id {text!r} is not usable; write 1 to 64 of A-Z a-z 0-9 _ -, "
        "beginning with a letter or digit."
    )
    assert caught.value.facts == {"kind": "Meter id", "text": text}


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (meter_id, "Meter id"),
        (group_id, "Group id"),
        (site_id, "Site id"),
        (command_id, "Command id"),
    ],
)
def test_the_error_says_which_kind_of_id(make: Callable[[str], str], kind: str) -> None:
    with pytest.raises(IdError, match=f"^{kind} '!' is not usable"):
        make("!")


@given(st.text())
def test_any_accepted_token_is_one_subject_token(text: str) -> None:
    try:
        token = meter_id(text)
    except IdError:
        return
    assert token.isascii()
    assert 1 <= len(token) <= 64
    assert not set(token) & set(".*>/\\ \t\n")
