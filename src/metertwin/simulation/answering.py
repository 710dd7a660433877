"""Endpoints whose silent meters drop what reaches them, whether their client is known or new."""

from metertwin.cosem.hdlc.frame import HdlcFrame
from metertwin.cosem.server.endpoint import HdlcServerEndpoint, WrapperServer
from metertwin.cosem.wrapper import encode_wrapper
from metertwin.simulation.config import Framing
from metertwin.simulation.devices import MeterDevices


class AnsweringWrapper(WrapperServer):
    """A wrapper connection.

    Args:
        devices: The meters.
    """

    __slots__ = ("_meters",)

    def __init__(self, devices: MeterDevices) -> None:
        super().__init__(devices.by_sap)
        self._meters = devices

    def receive(self, octets: bytes) -> bytes:
        """Return what to send for these octets, maybe nothing.

        Raises:
            FrameError: The stream is no wrapper stream: close the connection.
        """
        out = b""
        for client, server, apdu in self._decoder.feed(octets):
            if not self._meters.is_answering(server):
                continue
            association = self._associations.get((client, server)) or self._associate(
                client, server
            )
            answer = None if association is None else association.handle(apdu)
            if answer is not None:
                out += encode_wrapper(server, client, answer)
        return out


class AnsweringHdlc(HdlcServerEndpoint):
    """An HDLC connection.

    Args:
        devices: The meters.
    """

    __slots__ = ("_meters",)

    def __init__(self, devices: MeterDevices) -> None:
        super().__init__(devices.by_sap)
        self._meters = devices

    def _answer(self, frame: HdlcFrame) -> bytes:
        if not self._meters.is_answering(frame.destination.upper):
            return b""
        return super()._answer(frame)


def endpoint_of(devices: MeterDevices, framing: Framing) -> AnsweringWrapper | AnsweringHdlc:
    """Return the server side of a new connection."""
    return AnsweringWrapper(devices) if framing is Framing.WRAPPER else AnsweringHdlc(devices)
