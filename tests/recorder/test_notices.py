"""Events and outputs of apps from the bus, malformed ones put aside."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.bus.messages import encode
from metertwin.bus.subjects import EVENT_STREAM, Kind, subject
from metertwin.bus.tail import Delivered
from metertwin.core.clock import ManualClock, from_us
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.output import AppOutput
from metertwin.recorder.notices import NoticeIntake
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.harvest import Harvest

G1, M1 = GroupId("g1"), MeterId("m1")
NOW = datetime(2026, 3, 29, 1, tzinfo=UTC)
FIELDS = {
    "app": "tariff",
    "app_version": "1.0",
    "group": "g1",
    "meter": "m1",
    "name": "bill",
    "at": from_us(5),
    "revision": 0,
    "issued_at": from_us(6),
    "value": {},
}


def harvest(*said: bytes, where: str = subject(G1, Kind.OUTPUT, M1)) -> Harvest:
    messages = [Delivered(number, where, octets) for number, octets in enumerate(said, 1)]
    return NoticeIntake(EVENT_STREAM, ManualClock(NOW)).harvest(messages)


def message(**changed: object) -> bytes:
    return msgspec.msgpack.encode((1, FIELDS | changed))


def test_an_output_is_taken_as_it_was_said() -> None:
    bill = AppOutput("tariff", "1.0", G1, M1, "bill", from_us(5), 3, from_us(6), {"total": "1.50"})
    whole = AppOutput("tariff", "1.0", G1, None, "bill", from_us(5), 3, from_us(6), {})
    for number, (output, where) in enumerate(((bill, M1), (whole, "_")), 1):
        found = harvest(*[encode(output)] * number, where=subject(G1, Kind.OUTPUT, where))
        assert (found.outputs, found.refused) == ([output] * number, [])
        assert found.positions == {EVENT_STREAM: number}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"group": "g2"},
            "for group 'g2' about meter m1 came to group g1",
        ),
        ({"meter": "m.1"}, "Meter id 'm.1' is not usable"),
        ({"revision": 2**63}, "too big|too large"),
        ({"value": {"price": float("nan")}}, "holds a number that is not finite"),
        ({"value": {"x": [float("inf")]}}, "holds a number that is not finite"),
        ({"value": {"x": msgspec.msgpack.Ext(7, b"x")}}, "is no plain value"),
        ({"at": "2026-03-29T01:00:00"}, "zone|naive|aware"),
        ({"at": None}, "is damaged"),
    ],
)
def test_a_malformed_output_is_put_aside(changed: dict[str, Any], said: str) -> None:
    good = message()
    found = harvest(message(**changed), good)
    assert len(found.outputs) == 1
    [refused] = found.refused
    assert re.search(said, refused.reason), refused.reason
    assert (refused.octets, refused.stream_sequence) == (message(**changed), 1)


def test_an_output_of_another_meter_than_its_subject_says_is_put_aside() -> None:
    for where in (subject(G1, Kind.OUTPUT, "m2"), subject(G1, Kind.OUTPUT)):
        [refused] = harvest(message(), where=where).refused
        assert "about meter m1 came to" in refused.reason


Plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path_factory.mktemp("notices") / "history.duckdb")
    yield opened
    opened.close()


@given(changed=st.dictionaries(st.sampled_from(sorted(FIELDS)), Plain, max_size=3))
def test_whatever_is_said_is_stored_or_put_aside(
    store: DuckDbStore, changed: dict[str, object]
) -> None:
    found = harvest(message(**changed))
    assert len(found.outputs) + len(found.refused) == 1
    store.record(found)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\x92\x01" + rest))
def test_any_bytes_are_taken_or_put_aside(octets: bytes) -> None:
    found = harvest(octets)
    assert len(found.outputs) + len(found.refused) == 1


@given(Plain)
def test_a_value_is_kept_exactly(value: object) -> None:
    for output in harvest(message(value={"v": value})).outputs:
        text = msgspec.json.encode(output.value)
        plain = msgspec.to_builtins({"v": value}, str_keys=True)
        assert msgspec.json.decode(text) == plain
