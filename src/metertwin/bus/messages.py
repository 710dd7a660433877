"""Events, commands, requests and answers on the wire: MessagePack arrays that begin with a version.

`[1, content]` for what is said, `[1, true, value]` or `[1, false, problem]` for what is answered.
Decimals travel as text, times as MessagePack timestamps, so both arrive exactly as they left.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from metertwin.bus.wire import DAMAGE, WireError, check_version, other_version
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import (
    ConflictError,
    DeadlineError,
    InvalidInputError,
    MeterTwinError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from metertwin.core.event import Event
from metertwin.core.output import AppOutput

MESSAGE_VERSION = 1

Content = TypeVar("Content")
Answer = TypeVar("Answer")


class Request(msgspec.Struct, frozen=True):
    """A question to a twin host, a recorder or a gateway.

    Attributes:
        name: What is asked, for example `usage_now`.
        arguments: Plain values by name.
        max_age_s: How old the values of the answer may be, in s; None: as they are.
    """

    name: str
    arguments: dict[str, Any] = {}
    max_age_s: float | None = None


class Problem(msgspec.Struct, frozen=True):
    """An error as an answer.

    Attributes:
        code: The error's own code, for example `not_found.twin`.
        message: Its sentence.
        facts: Its facts, as plain values.
        family: Code of the error class of `core.errors` it belongs to.
    """

    code: str
    message: str
    facts: dict[str, Any] = {}
    family: str = MeterTwinError.code


class _Message(msgspec.Struct, array_like=True, frozen=True):
    version: int
    content: msgspec.Raw


class _Answer(msgspec.Struct, array_like=True, frozen=True):
    version: int
    is_good: bool
    content: msgspec.Raw


_FAMILIES: dict[str, type[MeterTwinError]] = {
    family.code: family
    for family in (
        InvalidInputError,
        NotFoundError,
        ConflictError,
        DeadlineError,
        UnavailableError,
        RefusedError,
    )
}
_encoder = msgspec.msgpack.Encoder()
_message_decoder = msgspec.msgpack.Decoder(_Message)
_answer_decoder = msgspec.msgpack.Decoder(_Answer)


def encode(content: Event | Command | CommandOutcome | Request | AppOutput) -> bytes:
    """Return a message of the version this program speaks."""
    return _encoder.encode((MESSAGE_VERSION, content))


def decode_event(octets: bytes) -> Event:
    """Return the event; raises WireVersionError or WireError."""
    return _decode(octets, Event)


def decode_command(octets: bytes) -> Command:
    """Return the command; raises WireVersionError or WireError."""
    return _decode(octets, Command)


def decode_outcome(octets: bytes) -> CommandOutcome:
    """Return the outcome of a command; raises WireVersionError or WireError."""
    return _decode(octets, CommandOutcome)


def decode_output(octets: bytes) -> AppOutput:
    """Return the output of an app; raises WireVersionError or WireError."""
    return _decode(octets, AppOutput)


def decode_request(octets: bytes) -> Request:
    """Return the request; raises WireVersionError or WireError."""
    return _decode(octets, Request)


def encode_answer(value: object) -> bytes:
    """Return an answer.

    Raises:
        TypeError: The value holds something MessagePack cannot carry; a fault of the handler.
    """
    return _encoder.encode((MESSAGE_VERSION, True, value))


def encode_problem(problem: Problem) -> bytes:
    """Return an answer that says why there is none."""
    return _encoder.encode((MESSAGE_VERSION, False, problem))


def decode_answer(octets: bytes, reply_type: type[Answer]) -> Answer:
    """Return the value of an answer.

    Raises:
        WireVersionError: It has another version; the error names both.
        WireError: It is damaged, or its value is no `reply_type`.
        MeterTwinError: It is a problem: of the family and with the code of the error over there.
    """
    try:
        answer = _answer_decoder.decode(octets)
        if answer.version == MESSAGE_VERSION:
            if answer.is_good:
                return _decoder(reply_type).decode(answer.content)
            problem = _decoder(Problem).decode(answer.content)
            raise error_of(problem)
    except DAMAGE as error:
        check_version("answer", octets, MESSAGE_VERSION)
        raise WireError(f"Answer of {len(octets)} bytes is damaged: {error}.") from None
    raise other_version("answer", answer.version, MESSAGE_VERSION)


def problem_of(error: MeterTwinError) -> Problem:
    """Return an error as it travels; facts that are no plain values become text."""
    family = next((each.code for each in _FAMILIES.values() if isinstance(error, each)), None)
    facts = msgspec.to_builtins(error.facts, builtin_types=(bytes,), enc_hook=str)
    return Problem(error.code, str(error), facts, family or MeterTwinError.code)


def error_of(problem: Problem) -> MeterTwinError:
    """Return the error of a problem: an instance of its family, with its own code."""
    error = _error_class(problem.family, problem.code)(problem.message)
    error.facts = dict(problem.facts)
    return error


@lru_cache(maxsize=256)
def _error_class(family: str, code: str) -> type[MeterTwinError]:
    parent = _FAMILIES.get(family, MeterTwinError)
    return parent if parent.code == code else type(parent.__name__, (parent,), {"code": code})


def _decoder(content_type: type[Content]) -> msgspec.msgpack.Decoder[Content]:
    return _cached_decoder(cast("Hashable", content_type))


@lru_cache(maxsize=256)
def _cached_decoder(content_type: Hashable) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(content_type)


def _decode(octets: bytes, content_type: type[Content]) -> Content:
    what = content_type.__name__.lower()
    try:
        message = _message_decoder.decode(octets)
        if message.version == MESSAGE_VERSION:
            return _decoder(content_type).decode(message.content)
    except DAMAGE as error:
        check_version(what, octets, MESSAGE_VERSION)
        raise WireError(f"A {what} of {len(octets)} bytes is damaged: {error}.") from None
    raise other_version(what, message.version, MESSAGE_VERSION)
