"""ACTION requests: one method or a list, parameters whole or in blocks."""

from dataclasses import dataclass
from typing import TypeAlias

from metertwin.cosem.apdu.blocks import DataBlock, block_number, header
from metertwin.cosem.apdu.descriptors import MethodDescriptor
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader, optional, sequence_of
from metertwin.cosem.data import Data, encode


@dataclass(frozen=True, slots=True)
class ActionRequestNormal:
    """Invokes one method."""

    invoke: int
    descriptor: MethodDescriptor
    parameters: Data | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        parameters = None if self.parameters is None else encode(self.parameters)
        start = header(ApduTag.ACTION_REQUEST, 1, self.invoke)
        return start + self.descriptor.encode() + optional(parameters)


@dataclass(frozen=True, slots=True)
class ActionRequestNextPblock:
    """Confirms a block of the answer and asks for the one behind it."""

    invoke: int
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.ACTION_REQUEST, 2, self.invoke) + block_number(self.block_number)


@dataclass(frozen=True, slots=True)
class ActionRequestWithList:
    """Invokes several methods; as many parameters as methods, null where one takes none."""

    invoke: int
    methods: tuple[MethodDescriptor, ...]
    parameters: tuple[Data, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        methods = sequence_of([method.encode() for method in self.methods])
        parameters = sequence_of([encode(value) for value in self.parameters])
        return header(ApduTag.ACTION_REQUEST, 3, self.invoke) + methods + parameters


@dataclass(frozen=True, slots=True)
class ActionRequestWithFirstPblock:
    """Invokes one method; its encoded parameters start with this block."""

    invoke: int
    descriptor: MethodDescriptor
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        start = header(ApduTag.ACTION_REQUEST, 4, self.invoke)
        return start + self.descriptor.encode() + self.block.encode()


@dataclass(frozen=True, slots=True)
class ActionRequestWithListAndFirstPblock:
    """Invokes several methods; their encoded list of parameters starts with this block."""

    invoke: int
    methods: tuple[MethodDescriptor, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        methods = sequence_of([method.encode() for method in self.methods])
        return header(ApduTag.ACTION_REQUEST, 5, self.invoke) + methods + self.block.encode()


@dataclass(frozen=True, slots=True)
class ActionRequestWithPblock:
    """A further block of the parameters."""

    invoke: int
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.ACTION_REQUEST, 6, self.invoke) + self.block.encode()


ActionRequest: TypeAlias = (
    ActionRequestNormal
    | ActionRequestNextPblock
    | ActionRequestWithList
    | ActionRequestWithFirstPblock
    | ActionRequestWithListAndFirstPblock
    | ActionRequestWithPblock
)


def read_normal(reader: Reader) -> ActionRequestNormal:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    descriptor = MethodDescriptor.read(reader)
    parameters = reader.data() if reader.is_present() else None
    return ActionRequestNormal(invoke, descriptor, parameters)


def read_next_pblock(reader: Reader) -> ActionRequestNextPblock:
    """Read what follows the choice octet."""
    return ActionRequestNextPblock(reader.uint(), reader.uint(4))


def read_with_list(reader: Reader) -> ActionRequestWithList:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    methods = reader.sequence_of(MethodDescriptor.read)
    return ActionRequestWithList(invoke, methods, reader.sequence_of(Reader.data))


def read_with_first_pblock(reader: Reader) -> ActionRequestWithFirstPblock:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    descriptor = MethodDescriptor.read(reader)
    return ActionRequestWithFirstPblock(invoke, descriptor, DataBlock.read(reader))


def read_with_list_and_first_pblock(reader: Reader) -> ActionRequestWithListAndFirstPblock:
    """Read what follows the choice octet."""
    invoke = reader.uint()
    methods = reader.sequence_of(MethodDescriptor.read)
    return ActionRequestWithListAndFirstPblock(invoke, methods, DataBlock.read(reader))


def read_with_pblock(reader: Reader) -> ActionRequestWithPblock:
    """Read what follows the choice octet."""
    return ActionRequestWithPblock(reader.uint(), DataBlock.read(reader))
