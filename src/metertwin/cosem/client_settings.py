"""How a client presents itself to a meter: mechanism, secrets, services, sizes."""

from dataclasses import dataclass, field

from metertwin.cosem.apdu.enumerations import Conformance, Mechanism

DEFAULT_CONFORMANCE = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_WITH_GET
    | Conformance.BLOCK_TRANSFER_WITH_SET
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.PRIORITY_MANAGEMENT
    | Conformance.EVENT_NOTIFICATION
    | Conformance.DATA_NOTIFICATION
    | Conformance.GENERAL_PROTECTION
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How a client presents itself.

    Attributes:
        mechanism: NONE, LLS or HLS_GMAC.
        password: The secret of LLS.
        is_ciphered: Whether APDUs are ciphered; needs a channel.
        dedicated_key: A key for the one association, sent inside the ciphered AARQ, or None.
        conformance: The services proposed.
        max_pdu_octets: The longest APDU this client takes, 0 (no limit) to 65,535.
    """

    mechanism: Mechanism = Mechanism.NONE
    password: bytes = field(default=b"", repr=False)
    is_ciphered: bool = False
    dedicated_key: bytes | None = field(default=None, repr=False)
    conformance: Conformance = DEFAULT_CONFORMANCE
    max_pdu_octets: int = 0xFFFF
