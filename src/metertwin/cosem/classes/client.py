"""Who may associate with a meter, and how each must prove it."""

from dataclasses import dataclass

from metertwin.cosem.apdu.enumerations import Conformance, Mechanism
from metertwin.cosem.classes.definition import Role

OFFERED = (
    Conformance.GENERAL_PROTECTION
    | Conformance.BLOCK_TRANSFER_WITH_GET
    | Conformance.BLOCK_TRANSFER_WITH_SET
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.EVENT_NOTIFICATION
    | Conformance.DATA_NOTIFICATION
    | Conformance.ACTION
)


@dataclass(frozen=True, slots=True)
class Client:
    """One client a meter knows.

    Args:
        sap: Its service access point, 1 to 127 where HDLC is used.
        role: What it may do once associated.
        mechanism: How it must authenticate: NONE, LLS (password) or HLS_GMAC.
        is_ciphered: Whether every service must be authenticated and encrypted.
        conformance: Services it may be granted.
    """

    sap: int
    role: Role
    mechanism: Mechanism = Mechanism.NONE
    is_ciphered: bool = False
    conformance: Conformance = OFFERED


PUBLIC_CLIENT = Client(16, Role.PUBLIC)
READING_CLIENT = Client(2, Role.READER, Mechanism.LLS)
MANAGEMENT_CLIENT = Client(1, Role.MANAGER, Mechanism.HLS_GMAC, is_ciphered=True)
USUAL_CLIENTS = (PUBLIC_CLIENT, READING_CLIENT, MANAGEMENT_CLIENT)
