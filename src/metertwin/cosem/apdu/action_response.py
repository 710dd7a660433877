"""ACTION responses: results and returned values, whole or in blocks."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from metertwin.cosem.apdu.blocks import DataBlock, block_number, header
from metertwin.cosem.apdu.enumerations import ActionResult, ApduTag
from metertwin.cosem.apdu.get_response import GetResult, encode_get_result, read_get_result
from metertwin.cosem.apdu.reader import Reader, optional, sequence_of


class ActionOutcome(NamedTuple):
    """How one method ended, and what it returned if it returns anything."""

    result: ActionResult
    returned: GetResult | None = None

    def encode(self) -> bytes:
        """Return the octets."""
        returned = None if self.returned is None else encode_get_result(self.returned)
        return bytes((self.result,)) + optional(returned)

    @classmethod
    def read(cls, reader: Reader) -> "ActionOutcome":
        """Read the octets."""
        result = reader.member(ActionResult)
        return cls(result, read_get_result(reader) if reader.is_present() else None)


@dataclass(frozen=True, slots=True)
class ActionResponseNormal:
    """How one method ended."""

    invoke: int
    outcome: ActionOutcome

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.ACTION_RESPONSE, 1, self.invoke) + self.outcome.encode()


@dataclass(frozen=True, slots=True)
class ActionResponseWithPblock:
    """A block of the encoded outcome or list of outcomes."""

    invoke: int
    block: DataBlock

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.ACTION_RESPONSE, 2, self.invoke) + self.block.encode()


@dataclass(frozen=True, slots=True)
class ActionResponseWithList:
    """How each method ended."""

    invoke: int
    outcomes: tuple[ActionOutcome, ...]

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        outcomes = sequence_of([outcome.encode() for outcome in self.outcomes])
        return header(ApduTag.ACTION_RESPONSE, 3, self.invoke) + outcomes


@dataclass(frozen=True, slots=True)
class ActionResponseNextPblock:
    """Confirms a block of the parameters."""

    invoke: int
    block_number: int

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return header(ApduTag.ACTION_RESPONSE, 4, self.invoke) + block_number(self.block_number)


ActionResponse: TypeAlias = (
    ActionResponseNormal
    | ActionResponseWithPblock
    | ActionResponseWithList
    | ActionResponseNextPblock
)


def read_normal(reader: Reader) -> ActionResponseNormal:
    """Read what follows the choice octet."""
    return ActionResponseNormal(reader.uint(), ActionOutcome.read(reader))


def read_with_pblock(reader: Reader) -> ActionResponseWithPblock:
    """Read what follows the choice octet."""
    return ActionResponseWithPblock(reader.uint(), DataBlock.read(reader))


def read_with_list(reader: Reader) -> ActionResponseWithList:
    """Read what follows the choice octet."""
    return ActionResponseWithList(reader.uint(), reader.sequence_of(ActionOutcome.read))


def read_next_pblock(reader: Reader) -> ActionResponseNextPblock:
    """Read what follows the choice octet."""
    return ActionResponseNextPblock(reader.uint(), reader.uint(4))
