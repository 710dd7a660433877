"""One connection to a server: octets in, octets out, for every meter behind it.

The socket above it feeds what it receives and sends what comes back. A frame for a SAP that no
meter has is dropped and counted, as a wire would: the client's own timeout tells it.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.decoder import HdlcDecoder
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame
from metertwin.cosem.hdlc.parameters import HdlcParameters
from metertwin.cosem.hdlc.server import HdlcServer
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.wrapper import PAYLOAD_OCTETS_MAX, WrapperDecoder, encode_wrapper

Devices: TypeAlias = Mapping[int, LogicalDevice[Any]]
"""Meters by SAP. (Any: one link may carry meters of several types.)"""

ASSOCIATIONS_MAX = 64
"""Client and server pairs one connection may use; more come only from somebody who counts up."""


class WrapperServer:
    """A TCP connection's server side.

    Args:
        devices: The meters, by server wPort; may be one mapping shared by all connections.
        apdu_octets_max: Longest APDU accepted.

    Attributes:
        unrouted_count: Frames dropped because no meter has their SAP.
    """

    __slots__ = ("_associations", "_decoder", "_devices", "unrouted_count")

    def __init__(self, devices: Devices, apdu_octets_max: int = PAYLOAD_OCTETS_MAX) -> None:
        self._devices = devices
        self._decoder = WrapperDecoder(apdu_octets_max)
        self._associations: dict[tuple[int, int], ServerAssociation[Any]] = {}
        self.unrouted_count = 0

    def receive(self, octets: bytes) -> bytes:
        """Return what to send for these octets, maybe nothing.

        Raises:
            FrameError: The stream is no wrapper stream: close the connection.
        """
        out = b""
        for client, server, apdu in self._decoder.feed(octets):
            association = self._associations.get((client, server))
            if association is None:
                association = self._associate(client, server)
                if association is None:
                    continue
            answer = association.handle(apdu)
            if answer is not None:
                out += encode_wrapper(server, client, answer)
        return out

    def _associate(self, client: int, server: int) -> ServerAssociation[Any] | None:
        device = self._devices.get(server)
        if device is None or len(self._associations) >= ASSOCIATIONS_MAX:
            self.unrouted_count += 1
            return None
        association = ServerAssociation(device, client)
        self._associations[client, server] = association
        return association


class HdlcServerEndpoint:
    """An HDLC line's server side: a serial line, or HDLC over TCP.

    Args:
        devices: The meters, by upper HDLC address.
        physical_address: The lower address it answers to; None answers to any.
        offered: Sizes and windows it can do.

    Attributes:
        unrouted_count: Frames dropped because no meter here has their address.
    """

    __slots__ = ("_connections", "_decoder", "_devices", "_offered", "_physical", "unrouted_count")

    def __init__(
        self,
        devices: Devices,
        *,
        physical_address: int | None = None,
        offered: HdlcParameters | None = None,
    ) -> None:
        self._devices = devices
        self._physical = physical_address
        self._offered = offered or HdlcParameters(2030, 2030, 7, 7)
        self._decoder = HdlcDecoder()
        self._connections: dict[
            tuple[HdlcAddress, HdlcAddress], tuple[HdlcServer, ServerAssociation[Any]]
        ] = {}
        self.unrouted_count = 0

    def receive(self, octets: bytes) -> bytes:
        """Return what to send for these octets, maybe nothing. No input raises."""
        return b"".join([self._answer(frame) for frame in self._decoder.feed(octets)])

    def _answer(self, frame: HdlcFrame) -> bytes:
        connection = self._connection(frame)
        if connection is None:
            self.unrouted_count += 1
            return b""
        server, association = connection
        if frame.kind in {FrameKind.SET_NORMAL_RESPONSE_MODE, FrameKind.DISCONNECT}:
            association.close()  # it lives on the HDLC connection and ends with it
        received = server.receive(frame)
        out = received.to_send
        for apdu in received.apdus:
            answer = association.handle(apdu)
            out += server.acknowledge() if answer is None else server.send(answer)
        return out

    def _connection(self, frame: HdlcFrame) -> tuple[HdlcServer, ServerAssociation[Any]] | None:
        own, client = frame.destination, frame.source
        known = self._connections.get((own, client))
        if known is not None:
            return known
        device = self._devices.get(own.upper)
        is_elsewhere = self._physical is not None and own.lower not in {None, self._physical}
        if device is None or is_elsewhere or len(self._connections) >= ASSOCIATIONS_MAX:
            return None
        made = HdlcServer(own, client, self._offered), ServerAssociation(device, client.upper)
        self._connections[own, client] = made
        return made
