"""SET requests: one attribute or a list, whole or in blocks."""

from dataclasses import dataclass
from typing import TypeAlias

from metertwin.cosem.apdu.blocks import DataBlock, header
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, SelectedAttribute, Selection
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader, sequence_of
from metertwin.cosem.data import Data, encode


@dataclass(frozen=True, slots=True)
class SetRequestNormal:
    """Writes one attribute."""

    invoke: int
    descriptor: AttributeDescriptor
    value: Data
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        written = SelectedAttribute(self.descriptor, self.selection)
        return header(ApduTag.SET_REQUEST, 1, self.invoke) + written.encode() + encode(self.value)


@dataclass(frozen=True, slots=True)
class SetRequestWithFirstDatablock:
    """Writes one attribute; its encoded value starts with this block."""

    invoke: int
    descriptor: AttributeDescriptor
    block: DataBlock
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        written = SelectedAttribute(self.descriptor, self.selection)
        return header(ApduTag.SET_REQUEST, 2, self.invoke) + written.encode() + self.block.encode()


@dataclass(frozen=True, slots=True)
class SetRequestWithDatablock:
    """A further block of what is written."""

    invoke: int
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.SET_REQUEST, 3, self.invoke) + self.block.encode()


@dataclass(frozen=True, slots=True)
class SetRequestWithList:
    """Writes several attributes; as many values as attributes."""

    invoke: int
    attributes: tuple[SelectedAttribute, ...]
    values: tuple[Data, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        attributes = sequence_of([attribute.encode() for attribute in self.attributes])
        values = sequence_of([encode(value) for value in self.values])
        return header(ApduTag.SET_REQUEST, 4, self.invoke) + attributes + values


@dataclass(frozen=True, slots=True)
class SetRequestWithListAndFirstDatablock:
    """Writes several attributes; their encoded list of values starts with this block."""

    invoke: int
    attributes: tuple[SelectedAttribute, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        attributes = sequence_of([attribute.encode() for attribute in self.attributes])
        return header(ApduTag.SET_REQUEST, 5, self.invoke) + attributes + self.block.encode()


SetRequest: TypeAlias = (
    SetRequestNormal
    | SetRequestWithFirstDatablock
    | SetRequestWithDatablock
    | SetRequestWithList
    | SetRequestWithListAndFirstDatablock
)


def read_normal(reader: Reader) -> SetRequestNormal:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    descriptor, selection = SelectedAttribute.read(reader)
    return SetRequestNormal(invoke, descriptor, reader.data(), selection)


def read_with_first_datablock(reader: Reader) -> SetRequestWithFirstDatablock:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    descriptor, selection = SelectedAttribute.read(reader)
    return SetRequestWithFirstDatablock(invoke, descriptor, DataBlock.read(reader), selection)


def read_with_datablock(reader: Reader) -> SetRequestWithDatablock:
    """Read what follows the choice octet."""
    return SetRequestWithDatablock(reader.uint(), DataBlock.read(reader))


def read_with_list(reader: Reader) -> SetRequestWithList:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    attributes = reader.sequence_of(SelectedAttribute.read)
    return SetRequestWithList(invoke, attributes, reader.sequence_of(Reader.data))


def read_with_list_and_first_datablock(reader: Reader) -> SetRequestWithListAndFirstDatablock:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    attributes = reader.sequence_of(SelectedAttribute.read)
    return SetRequestWithListAndFirstDatablock(invoke, attributes, DataBlock.read(reader))
