"""GET requests: one attribute, the next block, or a list of attributes."""

from dataclasses import dataclass
from typing import TypeAlias

from metertwin.cosem.apdu.blocks import block_number, header
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, SelectedAttribute, Selection
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader, sequence_of


@dataclass(frozen=True, slots=True)
class GetRequestNormal:
    """Asks for one attribute; `invoke` is the invoke-id-and-priority octet."""

    invoke: int
    descriptor: AttributeDescriptor
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        wanted = SelectedAttribute(self.descriptor, self.selection)
        return header(ApduTag.GET_REQUEST, 1, self.invoke) + wanted.encode()


@dataclass(frozen=True, slots=True)
class GetRequestNext:
    """Confirms a block by its number and asks for the one behind it."""

    invoke: int
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.GET_REQUEST, 2, self.invoke) + block_number(self.block_number)


@dataclass(frozen=True, slots=True)
class GetRequestWithList:
    """Asks for several attributes."""

    invoke: int
    attributes: tuple[SelectedAttribute, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        wanted = sequence_of([attribute.encode() for attribute in self.attributes])
        return header(ApduTag.GET_REQUEST, 3, self.invoke) + wanted


GetRequest: TypeAlias = GetRequestNormal | GetRequestNext | GetRequestWithList


def read_normal(reader: Reader) -> GetRequestNormal:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    descriptor, selection = SelectedAttribute.read(reader)
    return GetRequestNormal(invoke, descriptor, selection)


def read_next(reader: Reader) -> GetRequestNext:
    """Read what follows the choice octet."""
    return GetRequestNext(reader.uint(), reader.uint(4))


def read_with_list(reader: Reader) -> GetRequestWithList:
    """Read what follows the choice octet."""
    return GetRequestWithList(reader.uint(), reader.sequence_of(SelectedAttribute.read))
