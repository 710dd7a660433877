"""What a service is about: an attribute or a method of an object, and which part of it."""

import struct
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.reader import Reader, optional
from metertwin.cosem.data import (
    Data,
    Tag,
    array,
    encode,
    int8,
    octets,
    structure,
    uint16,
    uint32,
)
from metertwin.cosem.errors import DecodeError, EncodeError

_DESCRIPTOR = struct.Struct(">H6sb")
_BY_RANGE = 1
_BY_ENTRY = 2


class AttributeDescriptor(NamedTuple):
    """One attribute: interface class, logical name, attribute number (1 is the logical name)."""

    class_id: int
    obis: Obis
    attribute: int

    def encode(self) -> bytes:
        """Return the nine octets."""
        return _pack(*self)

    @classmethod
    def read(cls, reader: Reader) -> "AttributeDescriptor":
        """Read the nine octets."""
        class_id, name, attribute = _DESCRIPTOR.unpack(reader.take(9))
        return cls(class_id, Obis(*name), attribute)


class MethodDescriptor(NamedTuple):
    """One method: interface class, logical name, method number."""

    class_id: int
    obis: Obis
    method: int

    def encode(self) -> bytes:
        """Return the nine octets."""
        return _pack(*self)

    @classmethod
    def read(cls, reader: Reader) -> "MethodDescriptor":
        """Read the nine octets."""
        class_id, name, method = _DESCRIPTOR.unpack(reader.take(9))
        return cls(class_id, Obis(*name), method)


def _pack(class_id: int, obis: Obis, number: int) -> bytes:
    try:
        return _DESCRIPTOR.pack(class_id, bytes(obis), number)
    except (struct.error, ValueError) as error:
        raise EncodeError(
            f"Class {class_id}, {obis}, number {number} is no descriptor: {error}.",
            class_id=class_id,
            number=number,
        ) from error


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """One column of a profile: an attribute, or with `data_index` above 0 an element of it."""

    class_id: int
    obis: Obis
    attribute: int
    data_index: int = 0

    def to_data(self) -> Data:
        """Return the structure a profile's capture_objects holds."""
        return structure(
            uint16(self.class_id),
            octets(self.obis.to_bytes()),
            int8(self.attribute),
            uint16(self.data_index),
        )

    @classmethod
    def from_data(cls, data: Data) -> "CaptureObject":
        """Read the structure.

        Raises:
            DecodeError: It has other elements, or a name that has not six octets.
        """
        class_id, name, attribute, data_index = _elements(data, 4)
        return cls(class_id.integer(), _obis(name), attribute.integer(), data_index.integer())


@dataclass(frozen=True, slots=True)
class ByRange:
    """Entries whose `restricting` column lies in the range, both ends included.

    Attributes:
        restricting: The column compared, as a rule the clock's time.
        first: Lower end, of the column's type.
        last: Upper end, of the column's type.
        columns: The columns wanted; none means all.
    """

    restricting: CaptureObject
    first: Data
    last: Data
    columns: tuple[CaptureObject, ...] = ()

    def encode(self) -> bytes:
        """Return selector and parameters."""
        columns = array(*[column.to_data() for column in self.columns])
        parameters = structure(self.restricting.to_data(), self.first, self.last, columns)
        return bytes((_BY_RANGE,)) + encode(parameters)


@dataclass(frozen=True, slots=True)
class ByEntry:
    """Entries and columns by their place, counted from 1, both ends included; 0 means the last."""

    first_entry: int = 1
    last_entry: int = 0
    first_column: int = 1
    last_column: int = 0

    def encode(self) -> bytes:
        """Return selector and parameters."""
        parameters = structure(
            uint32(self.first_entry),
            uint32(self.last_entry),
            uint16(self.first_column),
            uint16(self.last_column),
        )
        return bytes((_BY_ENTRY,)) + encode(parameters)


Selection: TypeAlias = ByRange | ByEntry


class SelectedAttribute(NamedTuple):
    """An attribute and, where only a part is wanted, which."""

    descriptor: AttributeDescriptor
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the descriptor and the optional selection."""
        chosen = None if self.selection is None else self.selection.encode()
        return self.descriptor.encode() + optional(chosen)

    @classmethod
    def read(cls, reader: Reader) -> "SelectedAttribute":
        """Read the descriptor and the optional selection."""
        descriptor = AttributeDescriptor.read(reader)
        return cls(descriptor, read_selection(reader) if reader.is_present() else None)


def read_selection(reader: Reader) -> Selection:
    """Read a selector and its parameters.

    Raises:
        DecodeError: The selector is neither by range nor by entry, or its parameters do not fit.
    """
    start = reader.offset
    selector = reader.uint()
    parameters = reader.data()
    if selector == _BY_RANGE:
        restricting, first, last, columns = _elements(parameters, 4)
        wanted = tuple([CaptureObject.from_data(column) for column in columns.elements()])
        return ByRange(CaptureObject.from_data(restricting), first, last, wanted)
    if selector == _BY_ENTRY:
        return ByEntry(*[part.integer() for part in _elements(parameters, 4)])
    raise DecodeError(
        f"Selector {selector} at offset {start} is neither 1, by range, nor 2, by entry.",
        offset=start,
        selector=selector,
    )


def _elements(data: Data, count: int) -> tuple[Data, ...]:
    elements = data.elements()
    if data.tag is not Tag.STRUCTURE or len(elements) != count:
        raise DecodeError(f"A structure of {count} is due; here are {len(elements)} elements.")
    return elements


def _obis(name: Data) -> Obis:
    raw = name.octets()
    if len(raw) != 6:
        raise DecodeError(f"A logical name has 6 octets, here are {len(raw)}.")
    return Obis(*raw)
