"""Interval tables on the wire: a MessagePack array that begins with its version.

Gains travel byte by byte of their significance: first the lowest byte of every gain, then the next.
The high bytes are nearly all equal, so quick compression takes them away; differences of gains
would be noise and compress worse. Every size is known from the announced shape before anything is
decompressed, and nothing is decompressed beyond it.
"""

import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from metertwin.bus.wire import (
    DAMAGE,
    WireError,
    block_of_registers,
    check_version,
    other_version,
    registers_from_block,
)
from metertwin.core.batch import UInt8s
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import meter_id
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.reading import Origin, Register

TABLE_VERSION = 1
MAX_CELLS = 8_000_000  # 100 meters' quarter hours of two years; 64 MB of gains when unpacked
# Gains of 32 bits that nothing compresses, with quality and origin, are 6.1 bytes a cell: these
# fit into the 8 MB of a message, and 28 meters' quarter hours of a year fit into these.
MAX_PAGE_CELLS = 1_000_000
_LEVEL = 1
_MOST_US = 253_402_300_800_000_000  # the year 10000; no table reaches further than times do
_SPAN_COLUMNS = ("row", "first_index", "interval_count", "gain")


class TableSizeError(InvalidInputError):
    """An interval table has more meters x intervals than may travel."""

    code = "input.table_size"


class _TableMessage(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An `IntervalTable`; planes compressed with zlib, each little-endian.

    Attributes:
        register_block: One register, as in a reading message.
        gain_bytes: Bytes of one gain: 1, 2, 4 or 8.
        gain: Lowest byte of every cell, then the next byte of every cell, and so on.
        is_known: One bit a cell, the highest of a byte first.
        quality: One byte a cell; `origin` likewise.
        spans: int64 columns row, first_index, interval_count, gain, one behind the other.
    """

    version: int
    meters: list[str]
    register_block: bytes
    start_us: int
    interval_count: int
    gain_bytes: int
    gain: bytes
    is_known: bytes
    quality: bytes
    origin: bytes
    span_count: int
    spans: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_TableMessage)


def meters_per_page(interval_count: int) -> int:
    """Return how many meters' intervals fit into one answer; 0 if not even one's do."""
    return MAX_PAGE_CELLS // max(interval_count, 1)


def pack_table(table: IntervalTable) -> bytes:
    """Return the table as bytes that `unpack_table` gives back exactly.

    Raises:
        TableSizeError: It has more than `MAX_CELLS` cells.
    """
    _check_size(len(table.meters), table.interval_count)
    spans = table.spans
    span_columns = np.stack([getattr(spans, name) for name in _SPAN_COLUMNS])
    return _encoder.encode(
        _TableMessage(
            version=TABLE_VERSION,
            meters=[str(meter) for meter in table.meters],
            register_block=block_of_registers([table.register]),
            start_us=table.start_us,
            interval_count=table.interval_count,
            gain_bytes=table.gain.dtype.itemsize,
            gain=_squeezed(_by_significance(table.gain)),
            is_known=_squeezed(np.packbits(table.is_known)),
            quality=_squeezed(table.quality),
            origin=_squeezed(table.origin),
            span_count=len(spans),
            spans=_squeezed(span_columns.astype("<i8", copy=False)),
        )
    )


def unpack_table(octets: bytes) -> IntervalTable:
    """Return the table of a message; its gains have the dtype they were packed with.

    Raises:
        WireVersionError: It has another version; the error names both.
        WireError: It is damaged, contradicts itself, or would be larger than `MAX_CELLS`.
    """
    try:
        message = _decoder.decode(octets)
    except DAMAGE as error:
        check_version("interval table", octets, TABLE_VERSION)
        raise _damaged(len(octets), str(error)) from None
    if message.version != TABLE_VERSION:
        raise other_version("interval table", message.version, TABLE_VERSION)
    try:
        return _table_of(message)
    except WireError:
        raise
    except InvalidInputError as error:
        raise _damaged(len(octets), str(error)) from None


def _table_of(message: _TableMessage) -> IntervalTable:
    shape = (len(message.meters), message.interval_count)
    _check_announced(message)
    cells = shape[0] * shape[1]
    origin = _stretched("origin", message.origin, cells)
    if origin.max(initial=0) > max(Origin):
        raise WireError(f"Interval table has origin {origin.max()}; known are 0 to {max(Origin)}.")
    gain = _stretched("gain", message.gain, cells * message.gain_bytes)
    bits = _stretched("is_known", message.is_known, -(-cells // 8))
    return IntervalTable(
        meters=[meter_id(meter) for meter in message.meters],
        register=_register(message.register_block),
        start_us=message.start_us,
        gain=_from_significance(gain, message.gain_bytes).reshape(shape),
        is_known=np.unpackbits(bits, count=cells).astype(bool).reshape(shape),
        quality=_stretched("quality", message.quality, cells).reshape(shape),
        origin=origin.reshape(shape),
        spans=_spans(message),
    )


def _check_announced(message: _TableMessage) -> None:
    _check_size(len(message.meters), message.interval_count)
    if message.gain_bytes not in (1, 2, 4, 8):
        raise WireError(f"Interval table has gains of {message.gain_bytes} bytes; 1, 2, 4 or 8 go.")
    register = _register(message.register_block)
    end_us = message.start_us + message.interval_count * register.period_s * 1_000_000
    if not -_MOST_US <= message.start_us <= end_us <= _MOST_US:
        raise WireError(
            f"Interval table reaches from {message.start_us} to {end_us} us, further than times do."
        )


def _check_size(meter_count: int, interval_count: int) -> None:
    if interval_count < 0 or max(meter_count, 1) * interval_count > MAX_CELLS:
        raise TableSizeError(
            f"Interval table of {meter_count} meters with {interval_count} intervals each is not "
            f"possible; {MAX_CELLS} in all may travel. Ask for fewer meters or a shorter time.",
            meter_count=meter_count,
            interval_count=interval_count,
        )


def _register(block: bytes) -> Register:
    registers = registers_from_block(block)
    if len(registers) != 1:
        raise WireError(f"Interval table is of {len(registers)} registers; it can be of one.")
    return registers[0]


def _spans(message: _TableMessage) -> KnownSpans:
    count = message.span_count
    if not 0 <= count <= len(message.meters) * message.interval_count:
        raise WireError(f"Interval table announces {count} spans, more than it has intervals.")
    columns = _stretched("spans", message.spans, len(_SPAN_COLUMNS) * 8 * count)
    row, first, length, gain = columns.view("<i8").reshape(len(_SPAN_COLUMNS), count)
    is_inside = (row >= 0) & (row < len(message.meters)) & (first >= 0) & (length >= 1)
    # Both are below 2^23 where they count, so the sum cannot overflow into the allowed.
    is_inside &= (first < message.interval_count) & (length <= message.interval_count - first)
    if not is_inside.all():
        raise WireError("Interval table has a span outside of its meters or intervals.")
    return KnownSpans(row, first, length, gain)


def _by_significance(gain: NDArray[np.signedinteger]) -> UInt8s:
    octets = gain.astype(gain.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8)
    return octets.reshape(-1, gain.dtype.itemsize).T


def _from_significance(octets: UInt8s, gain_bytes: int) -> NDArray[np.signedinteger]:
    cells = np.ascontiguousarray(octets.reshape(gain_bytes, -1).T)
    return cells.reshape(-1).view(f"<i{gain_bytes}")


def _squeezed(plane: NDArray[np.integer]) -> bytes:
    return zlib.compress(np.ascontiguousarray(plane).tobytes(), _LEVEL)


def _stretched(name: str, squeezed: bytes, expected_bytes: int) -> UInt8s:
    """Return a plane's bytes, no more than it may have."""
    stretch = zlib.decompressobj()
    try:
        plane = stretch.decompress(squeezed, expected_bytes + 1)
    except zlib.error as error:
        raise WireError(f"Interval table's {name} cannot be decompressed: {error}.") from None
    if len(plane) != expected_bytes or not stretch.eof or stretch.unused_data:
        raise WireError(
            f"Interval table's {name} has not the {expected_bytes} bytes that its shape announces."
        )
    return np.frombuffer(plane, np.uint8)


def _damaged(size_bytes: int, reason: str) -> WireError:
    return WireError(f"Interval table of {size_bytes} bytes is damaged: {reason}")
