"""What messages look like on the wire: MessagePack arrays, each beginning with its version.

Columns of numbers travel as little-endian bytes, so that a batch is decoded by looking at it.
The registers of a batch travel as one packed block: gateways send the same few blocks for ever,
and `registers_from_block` remembers them.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from metertwin.core.batch import ReadingBatch
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import unit_from_code

READING_VERSION = 1
_REGISTER = struct.Struct("<6sBbI")  # logical name, unit, scaler, period_s


class WireError(InvalidInputError):
    """A message on the bus is not what its subject promises."""

    code = "bus.wire"


class WireVersionError(WireError):
    """A message has a version this program does not speak."""

    code = "bus.wire_version"


class ReadingMessage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A `ReadingBatch` on the wire; fields as there, columns little-endian."""

    version: int
    group: str
    epoch: int
    meters: list[str]
    first_sequences: bytes  # int64
    counts: bytes  # uint32
    register_block: bytes  # 12 bytes a register
    register_index: bytes  # uint16
    integers: bytes  # int64
    captured_at_us: bytes  # int64
    received_at_us: bytes  # int64
    quality: bytes  # uint8
    origin: bytes  # uint8


# What the decoder raises on octets that are no message of ours.
DAMAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ReadingMessage)


def encode_readings(batch: ReadingBatch) -> bytes:
    """Return the batch as one message."""
    return _encoder.encode(
        ReadingMessage(
            version=READING_VERSION,
            group=batch.group,
            epoch=batch.epoch,
            meters=list(batch.meters),
            first_sequences=batch.first_sequences.astype("<i8", copy=False).tobytes(),
            counts=batch.counts.astype("<u4", copy=False).tobytes(),
            register_block=block_of_registers(batch.registers),
            register_index=batch.register_index.astype("<u2", copy=False).tobytes(),
            integers=batch.integers.astype("<i8", copy=False).tobytes(),
            captured_at_us=batch.captured_at_us.astype("<i8", copy=False).tobytes(),
            received_at_us=batch.received_at_us.astype("<i8", copy=False).tobytes(),
            quality=batch.quality.tobytes(),
            origin=batch.origin.tobytes(),
        )
    )


def decode_message(octets: bytes) -> ReadingMessage:
    """Return the message as it came, its columns not yet looked at.

    Raises:
        WireVersionError: It has another version; the error names both.
        WireError: It is no reading message.
    """
    try:
        message = _decoder.decode(octets)
    except DAMAGE as error:
        check_version("reading", octets, READING_VERSION)
        raise WireError(f"Reading message of {len(octets)} bytes is damaged: {error}.") from None
    if message.version != READING_VERSION:
        raise other_version("reading", message.version, READING_VERSION)
    return message


def decode_readings(octets: bytes) -> ReadingBatch:
    """Return the batch of one message, its columns checked against each other.

    Raises:
        WireVersionError: It has another version; the error names both.
        WireError: It is no reading message.
        BatchShapeError: Its columns contradict each other.
    """
    return join_messages([decode_message(octets)])


def join_messages(messages: Sequence[ReadingMessage]) -> ReadingBatch:
    """Return messages of one group, epoch and register block as one batch.

    Joining first and looking at the columns once makes a thousand small messages cost
    little more than one large one. Each message is checked by itself all the same: two damaged
    ones must not make one that looks whole.

    Raises:
        WireError: A message's columns have other lengths than its runs announce, or the messages
            belong to several groups, epochs or register blocks.
        BatchShapeError: The columns contradict each other.
    """
    _check_lengths(messages)
    first = messages[0]
    batch = ReadingBatch(
        group=GroupId(first.group),
        epoch=first.epoch,
        meters=[MeterId(meter) for message in messages for meter in message.meters],
        first_sequences=_joined([each.first_sequences for each in messages], "<i8"),
        counts=_joined([each.counts for each in messages], "<u4"),
        registers=registers_from_block(first.register_block),
        register_index=_joined([each.register_index for each in messages], "<u2"),
        integers=_joined([each.integers for each in messages], "<i8"),
        captured_at_us=_joined([each.captured_at_us for each in messages], "<i8"),
        received_at_us=_joined([each.received_at_us for each in messages], "<i8"),
        quality=_joined([each.quality for each in messages], "u1"),
        origin=_joined([each.origin for each in messages], "u1"),
    )
    batch.check()
    return batch


def _joined(columns: list[bytes], dtype: str) -> NDArray[Any]:
    return np.frombuffer(b"".join(columns), dtype)


def _check_lengths(messages: Sequence[ReadingMessage]) -> None:
    first = messages[0]
    key = (first.group, first.epoch, first.register_block)
    for message in messages:
        n_runs, n = len(message.meters), len(message.origin)
        if not (
            len(message.first_sequences) == 8 * n_runs
            and len(message.counts) == 4 * n_runs
            and len(message.quality) == n
            and len(message.register_index) == 2 * n
            and len(message.integers)
            == len(message.captured_at_us)
            == len(message.received_at_us)
            == 8 * n
        ):
            raise WireError(
                f"Reading message of group {message.group} announces {n_runs} runs and {n} "
                "readings, but its columns have other lengths; it was cut.",
                group=message.group,
            )
        if (message.group, message.epoch, message.register_block) != key:
            raise WireError(
                f"Messages of groups {first.group} (epoch {first.epoch}) and {message.group} "
                f"(epoch {message.epoch}), or of two register blocks, cannot be one batch.",
                group=message.group,
            )
    _check_counts(messages)


def _check_counts(messages: Sequence[ReadingMessage]) -> None:
    """Raise WireError unless each message has as many readings as its runs announce."""
    run_ends = np.cumsum([len(message.meters) for message in messages])
    announced = np.zeros(run_ends[-1] + 1, dtype=np.int64)
    np.cumsum(_joined([each.counts for each in messages], "<u4"), out=announced[1:])
    reading_ends = np.cumsum([len(message.origin) for message in messages])
    wrong = np.flatnonzero(announced[run_ends] != reading_ends)
    if len(wrong):
        message = messages[wrong[0]]
        raise WireError(
            f"Reading message of group {message.group} has {len(message.origin)} readings, its "
            "runs announce another number; it was cut or written wrongly.",
            group=message.group,
        )


def block_of_registers(registers: Sequence[Register]) -> bytes:
    """Return registers as the packed block that travels with a batch."""
    return b"".join(
        _REGISTER.pack(register.obis.to_bytes(), register.unit, register.scaler, register.period_s)
        for register in registers
    )


@lru_cache(maxsize=1024)
def registers_from_block(block: bytes) -> tuple[Register, ...]:
    """Return the registers of a packed block.

    Raises:
        WireError: The block is cut, or has a unit code MeterTwin does not know.
    """
    try:
        return tuple(
            Register(Obis.from_bytes(name), unit_from_code(unit), scaler, period_s)
            for name, unit, scaler, period_s in _REGISTER.iter_unpack(block)
        )
    except (struct.error, InvalidInputError) as error:
        raise WireError(f"Register block of {len(block)} bytes is damaged: {error}") from None


def check_version(what: str, octets: bytes, spoken: int) -> None:
    """Raise WireVersionError if the message begins with another version than the one spoken."""
    try:
        fields = msgspec.msgpack.decode(octets, type=list[msgspec.Raw])
        version = msgspec.msgpack.decode(fields[0], type=int) if fields else spoken
    except DAMAGE:
        return
    if version != spoken:
        raise other_version(what, version, spoken)


def other_version(what: str, version: int, spoken: int) -> WireVersionError:
    """Return the error for a message of a version this program does not speak."""
    return WireVersionError(
        f"A {what} message has version {version}, this program speaks version {spoken}; "
        "run the same MeterTwin version on both sides, or upgrade the receiver first.",
        version=version,
        spoken=spoken,
    )
