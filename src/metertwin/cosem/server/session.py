"""What an open association knows: who reads which meter, what was granted, what is half done."""

from typing import Generic

from metertwin.cosem.apdu.enumerations import Conformance
from metertwin.cosem.classes.definition import S
from metertwin.cosem.classes.model import ClientView
from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.server.transfer import Incoming, Outgoing

# An APDU that carries a block: tag, choice, invoke id, last, number (4), choice, length (3).
_BLOCK_OVERHEAD_OCTETS = 12


class Session(Generic[S]):
    """The open association's state; small, because there is one per connected client.

    Args:
        device: The meter.
        view: What this client may do with it.
        conformance: The services both sides agreed on.
        apdu_octets_max: Longest plain APDU the client takes.

    Attributes:
        may_get: Whether GET was agreed on.
        outgoing: An answer being fetched in blocks.
        incoming: A request arriving in blocks.
    """

    __slots__ = (
        "apdu_octets_max",
        "conformance",
        "device",
        "incoming",
        "may_get",
        "outgoing",
        "view",
    )

    def __init__(
        self,
        device: LogicalDevice[S],
        view: ClientView[S],
        conformance: Conformance,
        apdu_octets_max: int,
    ) -> None:
        self.device = device
        self.view = view
        self.conformance = conformance
        self.apdu_octets_max = apdu_octets_max
        # Kept as a bool: `&` of two flags costs as much as the rest of a short answer.
        self.may_get = self.has(Conformance.GET)
        self.outgoing: Outgoing | None = None
        self.incoming: Incoming | None = None

    @property
    def block_octets_max(self) -> int:
        """Longest block that leaves room for its header."""
        return max(self.apdu_octets_max - _BLOCK_OVERHEAD_OCTETS, 1)

    def has(self, service: Conformance) -> bool:
        """Whether a service was agreed on."""
        return bool(self.conformance & service)

    def drop_transfers(self) -> None:
        """Forget half-done long transfers: another request ends them."""
        self.outgoing = None
        self.incoming = None
