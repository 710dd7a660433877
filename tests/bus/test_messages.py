"""Events, commands, requests and answers on the wire."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.bus.messages import (
    Problem,
    Request,
    decode_answer,
    decode_command,
    decode_event,
    decode_outcome,
    decode_output,
    decode_request,
    encode,
    encode_answer,
    encode_problem,
    error_of,
    problem_of,
)
from metertwin.bus.wire import WireError, WireVersionError
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import ConflictError, InvalidInputError, MeterTwinError, NotFoundError
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import CommandId, GroupId, IdError, MeterId
from metertwin.core.output import AppOutput
from metertwin.core.twin import LedgerLine, ReportedValue

MOMENT = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
COMMAND = Command(
    CommandId("c1"),
    MeterId("m1"),
    GroupId("g1"),
    CommandKind.SET_LIMIT,
    "token:anna",
    MOMENT,
    MOMENT,
    {"limit_w": 3000},
    7,
)
EVENT = Event(MeterId("m1"), EventSource.GATEWAY, -3, "silent", MOMENT, MOMENT, "no answer")
OUTCOME = CommandOutcome(CommandId("c1"), MeterId("m1"), CommandStatus.EFFECTED, MOMENT, "open")

OUTPUT = AppOutput(
    "tariff",
    "1.0",
    GroupId("g1"),
    MeterId("m1"),
    "bill",
    MOMENT,
    1,
    MOMENT,
    {"total": "12.40", "lines": [{"tier": 1}]},
)


def test_contents_arrive_as_they_left() -> None:
    assert decode_command(encode(COMMAND)) == COMMAND
    assert decode_event(encode(EVENT)) == EVENT
    assert decode_outcome(encode(OUTCOME)) == OUTCOME
    assert decode_output(encode(OUTPUT)) == OUTPUT
    request = Request("read_register", {"obis": "1-0:1.8.0*255"}, 0.5)
    assert decode_request(encode(request)) == request


def test_a_message_is_an_array_of_version_and_content() -> None:
    version, content = msgspec.msgpack.decode(encode(EVENT))
    assert version == 1
    assert content["name"] == "silent"
    assert content["code"] == -3


def test_an_answer_keeps_decimals_and_times_exact() -> None:
    value = ReportedValue(
        "1-0:1.8.0*255",
        Decimal("1234567890.12345678901234567890"),
        "Wh",
        1,
        -20,
        0,
        MOMENT,
        MOMENT,
        1.5,
        0,
        "measured",
    )
    answer = {"a": value}
    assert decode_answer(encode_answer(answer), dict[str, ReportedValue]) == answer
    assert decode_answer(encode_answer(b"\x00\xff arrow"), bytes) == b"\x00\xff arrow"


def test_an_error_comes_back_as_what_it_was() -> None:
    class TwinMissingError(NotFoundError):
        code = "not_found.twin"

    left = TwinMissingError("No twin m9 here.", meter="m9", at=MOMENT, tried={1, 2})
    with pytest.raises(NotFoundError, match=r"^No twin m9 here\.$") as caught:
        decode_answer(encode_problem(problem_of(left)), LedgerLine)
    assert caught.value.code == "not_found.twin"
    assert caught.value.facts == {
        "meter": "m9",
        "at": "2026-03-29T01:00:00.123456Z",
        "tried": [1, 2],
    }


def test_an_error_of_a_family_keeps_it_whatever_its_code() -> None:
    error = error_of(problem_of(IdError("Bad id.", text="a.b")))
    assert isinstance(error, InvalidInputError)
    assert error.code == "input.id"
    assert type(error_of(problem_of(ConflictError("Two.")))) is ConflictError


def test_an_error_of_no_family_is_a_plain_one_with_its_code() -> None:
    error = error_of(Problem("internal", "It broke."))
    assert isinstance(error, MeterTwinError)
    assert not isinstance(error, (InvalidInputError, NotFoundError))
    assert (error.code, str(error)) == ("internal", "It broke.")


@pytest.mark.parametrize(
    "decode", [decode_event, decode_command, decode_outcome, decode_output, decode_request]
)
def test_another_version_is_refused_naming_both(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(WireVersionError, match="has version 4, this program speaks version 1"):
        decode(msgspec.msgpack.encode([4, "whatever", "comes"]))
    with pytest.raises(WireVersionError, match="version 4"):
        decode_answer(msgspec.msgpack.encode([4, True, None]), object)


def test_an_answer_of_another_type_is_refused() -> None:
    with pytest.raises(WireError, match=r"Answer of \d+ bytes is damaged: Expected `object`"):
        decode_answer(encode_answer([1, 2]), LedgerLine)


@given(st.binary(max_size=100))
def test_any_bytes_end_in_a_content_or_the_documented_error(octets: bytes) -> None:
    for decode in (decode_event, decode_command, decode_outcome, decode_request):
        try:
            decode(octets)
        except WireError as error:
            assert str(error).endswith(".")  # noqa: PT017 - any other error must get through
    try:
        decode_answer(octets, LedgerLine)
    except MeterTwinError as error:
        assert error.code  # noqa: PT017 - as above


@given(st.data(), st.sampled_from([COMMAND, EVENT, OUTCOME]))
def test_a_damaged_byte_ends_in_a_content_or_the_documented_error(
    data: st.DataObject, content: Command | Event | CommandOutcome
) -> None:
    octets = bytearray(encode(content))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    decode = {Command: decode_command, Event: decode_event}.get(type(content), decode_outcome)
    try:
        decode(bytes(octets))
    except WireError as error:
        assert error.code in ("bus.wire", "bus.wire_version")  # noqa: PT017 - as above
