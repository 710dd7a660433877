"""Image transfer, class 18: firmware arrives in blocks, is verified, then activated."""

from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.enumerations import ActionResult
from metertwin.cosem.classes.definition import CosemObject, Role, S
from metertwin.cosem.classes.interface import IMAGE_TRANSFER
from metertwin.cosem.data import (
    Data,
    array,
    bit_string,
    boolean,
    enum,
    octets,
    structure,
    uint32,
)
from metertwin.cosem.errors import ServiceError

IMAGE_TRANSFER_NAME = Obis(0, 0, 44, 0, 0, 255)
IMAGE_OCTETS_MAX = 16 << 20


class ImageStatus(IntEnum):
    """Attribute 6, image_transfer_status."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFIED = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATED = 6
    ACTIVATION_FAILED = 7


class ImageSlot:
    """Where one meter gathers an image.

    Args:
        block_octets_count: Size of a block; the last may be shorter.
        is_enabled: Whether transfers are allowed.
        verify: Judges the complete image; by default every complete image is good.
        activate: Starts using it; given its identifier and octets.
    """

    __slots__ = (
        "_activate",
        "_blocks",
        "_verify",
        "block_octets_count",
        "identifier",
        "is_enabled",
        "size",
        "status",
    )

    def __init__(
        self,
        block_octets_count: int = 512,
        *,
        is_enabled: bool = True,
        verify: Callable[[bytes], bool] = bool,
        activate: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        self.block_octets_count = block_octets_count
        self.is_enabled = is_enabled
        self.status = ImageStatus.NOT_INITIATED
        self.identifier = b""
        self.size = 0
        self._blocks: dict[int, bytes] = {}
        self._verify = verify
        self._activate = activate

    @property
    def block_count(self) -> int:
        """Blocks the image has in all."""
        return -(-self.size // self.block_octets_count)

    @property
    def first_missing(self) -> int:
        """Number of the first block that has not come; `block_count` when all have."""
        return next((n for n in range(self.block_count) if n not in self._blocks), self.block_count)

    @property
    def transferred(self) -> str:
        """One bit per block, "1" for those that have come."""
        return "".join("01"[n in self._blocks] for n in range(self.block_count))

    def image(self) -> bytes:
        """Return what has come so far, in block order."""
        return b"".join(self._blocks[number] for number in sorted(self._blocks))

    def initiate(self, identifier: bytes, size: int) -> None:
        """Forget what came before and expect `size` octets.

        Raises:
            ServiceError: Transfers are not enabled, or the size is not 1 to 16 MiB.
        """
        if not self.is_enabled:
            raise _refused("image transfer is not enabled", ActionResult.READ_WRITE_DENIED)
        if not 0 < size <= IMAGE_OCTETS_MAX:
            raise _refused(f"an image of {size} octets", ActionResult.OTHER_REASON)
        self.identifier, self.size = identifier, size
        self._blocks = {}
        self.status = ImageStatus.INITIATED

    def take_block(self, number: int, block: bytes) -> None:
        """Store one block; a repeated block replaces itself.

        Raises:
            ServiceError: No transfer runs, or the block has another number or size than the image.
        """
        if self.status is not ImageStatus.INITIATED:
            raise _refused("no image transfer was initiated", ActionResult.OBJECT_UNAVAILABLE)
        start = number * self.block_octets_count
        wanted = min(self.block_octets_count, self.size - start)
        if not 0 <= number < self.block_count or len(block) != wanted:
            raise _refused(
                f"block {number} of {len(block)} octets in an image of {self.size}",
                ActionResult.DATA_BLOCK_UNAVAILABLE,
            )
        self._blocks[number] = block

    def verify(self) -> None:
        """Judge the image.

        Raises:
            ServiceError: Blocks are missing, or the image is not good.
        """
        is_good = self.size > 0 and self.first_missing == self.block_count
        is_good = is_good and self._verify(self.image())
        self.status = ImageStatus.VERIFIED if is_good else ImageStatus.VERIFICATION_FAILED
        if not is_good:
            raise _refused("the image is incomplete or damaged", ActionResult.OTHER_REASON)

    def activate(self) -> None:
        """Use the image.

        Raises:
            ServiceError: It was not verified.
        """
        if self.status is not ImageStatus.VERIFIED:
            raise _refused("the image has not been verified", ActionResult.OBJECT_UNAVAILABLE)
        if self._activate is not None:
            self._activate(self.identifier, self.image())
        self.status = ImageStatus.ACTIVATED


class ImageTransfer(CosemObject[S]):
    """Class 18, Image transfer.

    Args:
        slot: The meter's image slot; may be made when first asked for.
        obis: The logical name.
    """

    interface = IMAGE_TRANSFER
    __slots__ = ()

    def __init__(self, slot: Callable[[S], ImageSlot], *, obis: Obis = IMAGE_TRANSFER_NAME) -> None:
        super().__init__(
            obis,
            {
                2: lambda state: uint32(slot(state).block_octets_count),
                3: lambda state: bit_string(slot(state).transferred),
                4: lambda state: uint32(slot(state).first_missing),
                5: lambda state: boolean(slot(state).is_enabled),
                6: lambda state: enum(slot(state).status),
                7: lambda state: _to_activate(slot(state)),
            },
            methods={
                1: lambda state, parameter: _initiate(slot(state), parameter),
                2: lambda state, parameter: _take_block(slot(state), parameter),
                3: lambda state, _: slot(state).verify(),
                4: lambda state, _: slot(state).activate(),
            },
            read_by=Role.READER,
        )


def _to_activate(slot: ImageSlot) -> Data:
    if slot.status not in {ImageStatus.VERIFIED, ImageStatus.ACTIVATED}:
        return array()
    signature = sha256(slot.image()).digest()
    return array(structure(uint32(slot.size), octets(slot.identifier), octets(signature)))


def _initiate(slot: ImageSlot, parameter: Data) -> None:
    identifier, size = _pair(parameter)
    slot.initiate(identifier.octets(), size.integer())


def _take_block(slot: ImageSlot, parameter: Data) -> None:
    number, block = _pair(parameter)
    slot.take_block(number.integer(), block.octets())


def _pair(parameter: Data) -> tuple[Data, Data]:
    elements = parameter.elements()
    if len(elements) != 2:
        raise _refused(f"{len(elements)} parameters instead of 2", ActionResult.TYPE_UNMATCHED)
    return elements[0], elements[1]


def _refused(what: str, result: ActionResult) -> ServiceError:
    return ServiceError(f"Image transfer refuses: {what}.", result=result)
