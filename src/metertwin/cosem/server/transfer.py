"""Values too long for one APDU, on their way out or in, block by block."""

from collections.abc import Sequence

from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.descriptors import MethodDescriptor, SelectedAttribute
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.data import Data, decode_all

INCOMING_OCTETS_MAX = 4 << 20
OUTGOING_OCTETS_MAX = 4 << 20


class Outgoing:
    """An answer that is fetched in blocks.

    Args:
        service: GET_RESPONSE or ACTION_RESPONSE.
        octets: The whole encoded answer.
        block_octets_max: Longest block.
    """

    __slots__ = ("_block_octets_max", "_octets", "number", "service")

    def __init__(self, service: ApduTag, octets: bytes, block_octets_max: int) -> None:
        self.service = service
        self.number = 0  # of the block sent last
        self._octets = octets
        self._block_octets_max = block_octets_max

    def next_block(self) -> DataBlock:
        """Return the block behind the one sent last."""
        start = self.number * self._block_octets_max
        end = start + self._block_octets_max
        self.number += 1
        return DataBlock(end >= len(self._octets), self.number, self._octets[start:end])


class Incoming:
    """A request that arrives in blocks: a SET of attributes or an ACTION of methods.

    Args:
        targets: The attributes or methods it is for.
        is_list: Whether it came as a list, so that the answer is one.
    """

    __slots__ = ("_octets", "_targets", "is_list", "number")

    def __init__(
        self, targets: Sequence[SelectedAttribute | MethodDescriptor], *, is_list: bool
    ) -> None:
        self._targets = targets
        self.is_list = is_list
        self.number = 0  # of the block received last
        self._octets = bytearray()

    @property
    def attributes(self) -> tuple[SelectedAttribute, ...]:
        """The attributes of a SET; none for an ACTION."""
        return tuple([item for item in self._targets if isinstance(item, SelectedAttribute)])

    @property
    def methods(self) -> tuple[MethodDescriptor, ...]:
        """The methods of an ACTION; none for a SET."""
        return tuple([item for item in self._targets if isinstance(item, MethodDescriptor)])

    def take(self, block: DataBlock) -> bool:
        """Add a block; return whether it was the next one and the whole stays in bounds."""
        total_count = len(self._octets) + len(block.octets)
        if block.number != self.number + 1 or total_count > INCOMING_OCTETS_MAX:
            return False
        self.number = block.number
        self._octets += block.octets
        return True

    def values(self) -> tuple[Data, ...]:
        """Return the values of the complete request, one per attribute or method.

        Raises:
            DecodeError: The octets are not that.
        """
        octets = bytes(self._octets)
        if not self.is_list:
            return (decode_all(octets),)
        reader = Reader(octets)
        values = reader.sequence_of(Reader.data)
        reader.end()
        return values
