"""Passwords and keys of the simulated meters, and where to reach each."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from metertwin.core.ids import GroupId, MeterId
from metertwin.cosem.apdu.enumerations import Mechanism
from metertwin.cosem.classes.client import MANAGEMENT_CLIENT, PUBLIC_CLIENT, Client
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.security import KeyRing
from metertwin.cosem.server.device import Credentials
from metertwin.simulation.config import Framing, Security

FIRST_METER_SAP = 256
"""Server address of the first meter: above every one that the standards reserve."""
_KEY_OCTETS = 16
_PASSWORD_OCTETS = 8
_MANAGING_SAP = 1
_OPEN_CLIENT = Client(16, Role.MANAGER)
_PASSWORD_CLIENT = Client(_MANAGING_SAP, Role.MANAGER, Mechanism.LLS)


@dataclass(frozen=True, slots=True)
class MeterAddress:
    """Where a meter is and what a client must know to read and command it.

    Secrets do not show in its repr; whoever writes them to a file gives it mode 0600.

    Attributes:
        meter: Its id.
        group: Its feeder.
        host: Where it listens.
        port: Likewise; one port for all meters.
        framing: How APDUs are framed there.
        server_sap: Its logical device: wPort or upper HDLC address.
        client_sap: Who the client must be.
        security: How it must prove itself.
        serial: The meter's serial number at the start.
        system_title: What the meter ciphers under, 8 octets.
        client_system_title: What the client may cipher under, 8 octets.
        password: For security low.
        encryption_key: For security high, 16 octets.
        authentication_key: For security high, 16 octets.
        is_transformer: Whether it is a transformer's meter, not a household's.
    """

    meter: MeterId
    group: GroupId
    host: str
    port: int
    framing: Framing
    server_sap: int
    client_sap: int
    security: Security
    serial: str
    system_title: bytes
    client_system_title: bytes
    password: bytes = field(default=b"", repr=False)
    encryption_key: bytes = field(default=b"", repr=False)
    authentication_key: bytes = field(default=b"", repr=False)
    is_transformer: bool = False


CLIENT_SYSTEM_TITLE = b"MTWHES\x00\x01"


def clients_of(security: Security) -> tuple[Client, ...]:
    """Return whom a meter knows."""
    match security:
        case Security.NONE:
            return (_OPEN_CLIENT,)
        case Security.LOW:
            return (PUBLIC_CLIENT, _PASSWORD_CLIENT)
        case Security.HIGH:
            return (PUBLIC_CLIENT, MANAGEMENT_CLIENT)


class SecretSource:
    """Derives each meter's secrets from one.

    Args:
        seed: Of the simulation.
        is_random: Whether the one secret is random; else it follows from the seed.
        secret: The one secret itself, if it is to be a certain one.
    """

    def __init__(self, seed: int, *, is_random: bool, secret: bytes = b"") -> None:
        repeatable = hashlib.sha256(f"metertwin simulation {seed}".encode()).digest()
        self._master = secret or (secrets.token_bytes(32) if is_random else repeatable)

    def password(self, meter: MeterId) -> bytes:
        """Return a meter's password, printable."""
        return self._derived(meter, "password")[:_PASSWORD_OCTETS].hex().encode()

    def keys(self, meter: MeterId) -> KeyRing:
        """Return a meter's keys."""
        derived = self._derived(meter, "keys")
        return KeyRing(derived[:_KEY_OCTETS], derived[_KEY_OCTETS:])

    def credentials(self, meter: MeterId, security: Security) -> Mapping[int, Credentials]:
        """Return what a meter expects of its clients."""
        match security:
            case Security.NONE:
                return {}
            case Security.LOW:
                return {_MANAGING_SAP: Credentials(password=self.password(meter))}
            case Security.HIGH:
                return {_MANAGING_SAP: Credentials(keys=self.keys(meter))}

    def _derived(self, meter: MeterId, purpose: str) -> bytes:
        return hmac.digest(self._master, f"{purpose} {meter}".encode(), "sha256")
