"""What messages look like on the wire: MessagePack arrays, each beginning with its version.

Columns of numbers travel as little-endian bytes, so that a batch is decoded by looking at it.
The registers of a batch travel as one packed block: gateways send the same few blocks for ever,
and `registers_from_block` remembers them.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

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
    except (msgspec.DecodeError, RecursionError) as error:
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
    little more than one large one.

    Raises:
        WireError: A column is no whole number of values.
        BatchShapeError: The columns contradict each other.
    """
    first = messages[0]
    try:
        batch = ReadingBatch(
            group=GroupId(first.group),
            epoch=first.epoch,
            meters=[MeterId(meter) for message in messages for meter in message.meters],
            first_sequences=np.frombuffer(
                b"".join([message.first_sequences for message in messages]), "<i8"
            ),
            counts=np.frombuffer(b"".join([message.counts for message in messages]), "<u4"),
            registers=registers_from_block(first.register_block),
            register_index=np.frombuffer(
                b"".join([message.register_index for message in messages]), "<u2"
            ),
            integers=np.frombuffer(b"".join([message.integers for message in messages]), "<i8"),
            captured_at_us=np.frombuffer(
                b"".join([message.captured_at_us for message in messages]), "<i8"
            ),
            received_at_us=np.frombuffer(
                b"".join([message.received_at_us for message in messages]), "<i8"
            ),
            quality=np.frombuffer(b"".join([message.quality for message in messages]), "u1"),
            origin=np.frombuffer(b"".join([message.origin for message in messages]), "u1"),
        )
    except ValueError as error:
        raise WireError(
            f"Reading message of group {first.group} has a broken column: {error}."
        ) from None
    batch.check()
    return batch


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
    except (msgspec.DecodeError, RecursionError):
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
