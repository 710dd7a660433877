"""GET responses: a value, a block of a long value, or a list of values."""

from dataclasses import dataclass
from typing import TypeAlias

from metertwin.cosem.apdu.blocks import block_number, header
from metertwin.cosem.apdu.enumerations import ApduTag, DataAccessResult
from metertwin.cosem.apdu.reader import Reader, octet_string, sequence_of
from metertwin.cosem.data import Data, encode

GetResult: TypeAlias = Data | DataAccessResult

_VALUE = b"\x00"
_REFUSAL = 1


def encode_get_result(result: GetResult) -> bytes:
    """Return the Get-Data-Result choice: a value, or why there is none."""
    if isinstance(result, Data):
        return _VALUE + encode(result)
    return bytes((_REFUSAL, result))


def read_get_result(reader: Reader) -> GetResult:
    """Read a Get-Data-Result choice."""
    if reader.choice(2) == _REFUSAL:
        return reader.member(DataAccessResult)
    return reader.data()


@dataclass(frozen=True, slots=True)
class GetResponseNormal:
    """One value, or why there is none."""

    invoke: int
    result: GetResult

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.GET_RESPONSE, 1, self.invoke) + encode_get_result(self.result)


@dataclass(frozen=True, slots=True)
class GetResponseWithDatablock:
    """A block of an encoded value, or why the transfer ends."""

    invoke: int
    is_last: bool
    block_number: int
    result: bytes | DataAccessResult

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        if isinstance(self.result, bytes):
            result = _VALUE + octet_string(self.result)
        else:
            result = bytes((_REFUSAL, self.result))
        place = bytes((self.is_last,)) + block_number(self.block_number)
        return header(ApduTag.GET_RESPONSE, 2, self.invoke) + place + result


@dataclass(frozen=True, slots=True)
class GetResponseWithList:
    """One result per attribute asked for, in their order."""

    invoke: int
    results: tuple[GetResult, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        results = sequence_of([encode_get_result(result) for result in self.results])
        return header(ApduTag.GET_RESPONSE, 3, self.invoke) + results


GetResponse: TypeAlias = GetResponseNormal | GetResponseWithDatablock | GetResponseWithList


def read_normal(reader: Reader) -> GetResponseNormal:
    """Read what follows the choice octet."""
    return GetResponseNormal(reader.uint(), read_get_result(reader))


def read_with_datablock(reader: Reader) -> GetResponseWithDatablock:
    """Read what follows the choice octet."""
    invoke, is_last, number = reader.uint(), reader.is_true(), reader.uint(4)
    result: bytes | DataAccessResult
    if reader.choice(2) == _REFUSAL:
        result = reader.member(DataAccessResult)
    else:
        result = reader.octet_string()
    return GetResponseWithDatablock(invoke, is_last, number, result)


def read_with_list(reader: Reader) -> GetResponseWithList:
    """Read what follows the choice octet."""
    return GetResponseWithList(reader.uint(), reader.sequence_of(read_get_result))
