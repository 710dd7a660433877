"""One meter of the registry: where it is, how it is spoken to, with which keys."""

from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId, MeterId, checked_token
from metertwin.core.reading import Origin

_KEY_OCTETS_COUNT = 16
_TITLE_OCTETS_COUNT = 8

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Sap = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
HdlcStation = Annotated[int, msgspec.Meta(ge=0, le=16_383)]


class Framing(StrEnum):
    """What stands around an APDU on the TCP connection."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


class Security(StrEnum):
    """How client and meter prove who they are."""

    NONE = "none"
    LOW = "low"  # a password
    HIGH = "high"  # HLS-GMAC, every APDU encrypted and authenticated


class MeterOrigin(StrEnum):
    """Where the meter's values come from."""

    MEASURED = "measured"
    SIMULATED = "simulated"


class MeterEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One meter and the link to it.

    Attributes:
        id: The meter's id.
        group: The group it belongs to.
        host: Name or address of the meter, or of the concentrator it hangs on.
        port: TCP port.
        client_sap: Our address: 16 is the public client of the standard.
        server_sap: The meter's logical device.
        hdlc_station: Physical address behind the logical one, where the line has several meters.
        password: For security low, in hexadecimal.
        authentication_key: For security high, 16 octets in hexadecimal.
        encryption_key: For security high, 16 octets in hexadecimal.
        system_title: Ours, for security high, 8 octets in hexadecimal.
        zone: IANA name of the zone of the meter's clock, for meters that do not send theirs.
        is_protected: Never disconnect this usage point, whoever asks.
    """

    id: str
    group: str
    host: str
    port: Port
    framing: Framing = Framing.WRAPPER
    client_sap: Sap = 16
    server_sap: Sap = 1
    hdlc_station: HdlcStation | None = None
    security: Security = Security.NONE
    password: str = ""
    authentication_key: str = ""
    encryption_key: str = ""
    system_title: str = ""
    zone: str = "UTC"
    origin: MeterOrigin = MeterOrigin.MEASURED
    is_protected: bool = False

    # Keys must not reach a log by way of a repr.
    def __repr__(self) -> str:
        return (
            f"MeterEntry(id={self.id!r}, group={self.group!r}, host={self.host!r}, "
            f"port={self.port}, server_sap={self.server_sap}, security={self.security.value!r})"
        )

    @property
    def meter(self) -> MeterId:
        """The id, typed."""
        return MeterId(self.id)

    @property
    def group_id(self) -> GroupId:
        """The group, typed."""
        return GroupId(self.group)

    @property
    def reading_origin(self) -> Origin:
        """The origin its readings carry."""
        is_measured = self.origin is MeterOrigin.MEASURED
        return Origin.MEASURED if is_measured else Origin.SIMULATED

    def problems(self) -> list[str]:
        """Return what is wrong with the entry, each as one clause; empty when nothing is."""
        found = [*_id_problems("meter id", self.id), *_id_problems("group id", self.group)]
        if not self.host:
            found.append("host is empty")
        if self.framing is Framing.HDLC and not 0 <= self.client_sap <= 127:
            found.append(f"client_sap {self.client_sap} is above 127, HDLC's highest")
        if self.framing is Framing.HDLC and self.server_sap > 16_383:
            found.append(f"server_sap {self.server_sap} is above 16383, HDLC's highest")
        found.extend(self._secret_problems())
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found.append(f"zone {self.zone!r} is not an IANA zone such as Europe/Berlin")
        return found

    def _secret_problems(self) -> list[str]:
        found = []
        if self.security is Security.LOW and not self.password:
            found.append("security low needs a password")
        if self.password and _octets_count(self.password) is None:
            found.append("password is not hexadecimal")
        if self.security is Security.HIGH:
            for name, size in (
                ("authentication_key", _KEY_OCTETS_COUNT),
                ("encryption_key", _KEY_OCTETS_COUNT),
                ("system_title", _TITLE_OCTETS_COUNT),
            ):
                if _octets_count(getattr(self, name)) != size:
                    found.append(f"security high needs {name} of {size} octets in hexadecimal")
        return found


def _octets_count(text: str) -> int | None:
    try:
        return len(bytes.fromhex(text))
    except ValueError:
        return None


def _id_problems(kind: str, text: str) -> list[str]:
    try:
        checked_token(kind, text)
    except InvalidInputError as error:
        return [str(error).rstrip(".")]
    return []
