"""SET responses: results, and confirmations of blocks."""

from dataclasses import dataclass
from typing import TypeAlias

from metertwin.cosem.apdu.blocks import block_number, header
from metertwin.cosem.apdu.enumerations import ApduTag, DataAccessResult
from metertwin.cosem.apdu.reader import Reader, octet_string


@dataclass(frozen=True, slots=True)
class SetResponseNormal:
    """How writing one attribute ended."""

    invoke: int
    result: DataAccessResult

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.SET_RESPONSE, 1, self.invoke) + bytes((self.result,))


@dataclass(frozen=True, slots=True)
class SetResponseDatablock:
    """Confirms a block that is not the last."""

    invoke: int
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.SET_RESPONSE, 2, self.invoke) + block_number(self.block_number)


@dataclass(frozen=True, slots=True)
class SetResponseLastDatablock:
    """Confirms the last block and says how writing one attribute ended."""

    invoke: int
    result: DataAccessResult
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        start = header(ApduTag.SET_RESPONSE, 3, self.invoke)
        return start + bytes((self.result,)) + block_number(self.block_number)


@dataclass(frozen=True, slots=True)
class SetResponseLastDatablockWithList:
    """Confirms the last block and says how writing each attribute ended."""

    invoke: int
    results: tuple[DataAccessResult, ...]
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        start = header(ApduTag.SET_RESPONSE, 4, self.invoke)
        return start + octet_string(bytes(self.results)) + block_number(self.block_number)


@dataclass(frozen=True, slots=True)
class SetResponseWithList:
    """How writing each attribute ended."""

    invoke: int
    results: tuple[DataAccessResult, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        # One octet a result, so their list has the octets of an octet string.
        return header(ApduTag.SET_RESPONSE, 5, self.invoke) + octet_string(bytes(self.results))


SetResponse: TypeAlias = (
    SetResponseNormal
    | SetResponseDatablock
    | SetResponseLastDatablock
    | SetResponseLastDatablockWithList
    | SetResponseWithList
)


def _result(reader: Reader) -> DataAccessResult:
    return reader.member(DataAccessResult)


def read_normal(reader: Reader) -> SetResponseNormal:
    """Read what follows the choice octet."""
    return SetResponseNormal(reader.uint(), _result(reader))


def read_datablock(reader: Reader) -> SetResponseDatablock:
    """Read what follows the choice octet."""
    return SetResponseDatablock(reader.uint(), reader.uint(4))


def read_last_datablock(reader: Reader) -> SetResponseLastDatablock:
    """Read what follows the choice octet."""
    return SetResponseLastDatablock(reader.uint(), _result(reader), reader.uint(4))


def read_last_datablock_with_list(reader: Reader) -> SetResponseLastDatablockWithList:
    """Read what follows the choice octet."""
    return SetResponseLastDatablockWithList(
        reader.uint(), reader.sequence_of(_result), reader.uint(4)
    )


def read_with_list(reader: Reader) -> SetResponseWithList:
    """Read what follows the choice octet."""
    return SetResponseWithList(reader.uint(), reader.sequence_of(_result))
