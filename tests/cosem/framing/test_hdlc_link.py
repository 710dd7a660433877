"""Two HDLC stations talk: connected, segmented, windowed, over a line that loses and doubles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.client import ClientState, HdlcClient
from metertwin.cosem.hdlc.decoder import HdlcDecoder
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame, control_octet
from metertwin.cosem.hdlc.parameters import HdlcParameters
from metertwin.cosem.hdlc.server import HdlcServer

METER = HdlcAddress.server(1, 17)
_parameters = st.builds(
    HdlcParameters,
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 7),
    st.integers(1, 7),
)


class Line:
    """A client and a meter that echoes every APDU backwards; frames on the way may be harmed."""

    def __init__(self, proposed: HdlcParameters | None, offered: HdlcParameters) -> None:
        self.client = HdlcClient(16, METER, proposed)
        self.server = HdlcServer(METER, HdlcAddress.client(16), offered)
        self.received: list[bytes] = []
        self.answered: list[bytes] = []
        self.frames: list[HdlcFrame] = []

    def carry(self, octets: bytes, harm: list[str]) -> None:
        """Exchange until the line is silent; each of `harm` meets one frame."""
        while octets:
            answer = b""
            for frame in self._through(octets, harm):
                taken = self.server.receive(frame)
                answer += taken.to_send
                for apdu in taken.apdus:
                    self.received.append(apdu)
                    answer += self.server.send(apdu[::-1])
            octets = b""
            for frame in self._through(answer, harm):
                taken = self.client.receive(frame.encode())
                octets += taken.to_send
                self.answered += taken.apdus

    def _through(self, octets: bytes, harm: list[str]) -> list[HdlcFrame]:
        arrived: list[HdlcFrame] = []
        for frame in HdlcDecoder().feed(octets):
            self.frames.append(frame)
            match harm.pop(0) if harm else "carry":
                case "lose":
                    continue
                case "double":
                    arrived += [frame, frame]
                case _:
                    arrived.append(frame)
        return arrived


@settings(max_examples=150, deadline=None)
@given(
    _parameters,
    _parameters,
    st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=4),
    st.lists(st.sampled_from(["carry", "carry", "carry", "lose", "double"]), max_size=25),
)
def test_every_apdu_arrives_once_and_in_order_over_a_bad_line(
    proposed: HdlcParameters, offered: HdlcParameters, apdus: list[bytes], harm: list[str]
) -> None:
    line = Line(proposed, offered)
    line.carry(line.client.connect(), harm)
    while line.client.state is not ClientState.CONNECTED:
        line.carry(line.client.repeat(), harm)

    for count, apdu in enumerate(apdus, start=1):
        line.carry(line.client.send(apdu), harm)
        while len(line.answered) < count:  # what a timeout does
            line.carry(line.client.repeat(), harm)

    assert line.received == apdus
    assert line.answered == [apdu[::-1] for apdu in apdus]


def test_a_long_apdu_travels_in_segments_no_longer_than_agreed() -> None:
    line = Line(HdlcParameters(100, 50, 3, 2), HdlcParameters(80, 60, 7, 7))
    line.carry(line.client.connect(), [])
    line.frames.clear()

    line.carry(line.client.send(bytes(300)), [])

    sent = [frame for frame in line.frames if frame.destination == METER and frame.information]
    answered = [frame for frame in line.frames if frame.source == METER and frame.information]
    # 3 octets of LLC and 300 of APDU: client to meter min(100, 60), meter to client min(80, 50)
    assert [len(frame.information) for frame in sent] == [60, 60, 60, 60, 60, 3]
    assert [len(frame.information) for frame in answered] == [50] * 6 + [3]
    assert [frame.segmented for frame in sent] == [True] * 5 + [False]
    # windows: client to meter min(3, 7), meter to client min(7, 2); the last of each has P/F
    assert [frame.is_final for frame in sent] == [False, False, True, False, False, True]
    assert [frame.is_final for frame in answered] == [False, True, False, True, False, True, True]


def test_the_meter_answers_a_stranger_with_disconnected_mode() -> None:
    line = Line(None, HdlcParameters())
    poll = control_octet(FrameKind.RECEIVE_READY, final=True)

    answer = line.server.receive(HdlcFrame(METER, HdlcAddress.client(16), poll)).to_send

    assert [frame.kind for frame in HdlcDecoder().feed(answer)] == [FrameKind.DISCONNECTED_MODE]


def test_a_client_that_hears_disconnected_mode_says_to_connect_again() -> None:
    line = Line(None, HdlcParameters())
    line.carry(line.client.connect(), [])
    line.server = HdlcServer(METER, HdlcAddress.client(16), HdlcParameters())  # the meter restarts

    with pytest.raises(FrameError, match=r"1/17 answered DM.*connect again"):
        line.carry(line.client.send(b"\xc0"), [])
    assert line.client.state is ClientState.DISCONNECTED


def test_disconnect_ends_in_disconnected_on_both_sides() -> None:
    line = Line(None, HdlcParameters())
    line.carry(line.client.connect(), [])

    line.carry(line.client.disconnect(), [])

    assert line.client.state is ClientState.DISCONNECTED
    assert not line.server.is_connected


def test_an_unknown_control_octet_is_rejected_by_name() -> None:
    line = Line(None, HdlcParameters())
    line.carry(line.client.connect(), [])

    answer = line.server.receive(HdlcFrame(METER, HdlcAddress.client(16), 0xEF)).to_send

    rejected = HdlcDecoder().feed(answer)[0]
    assert rejected.kind is FrameKind.FRAME_REJECT
    assert rejected.information == b"\xef\x00\x01"


def test_a_busy_meter_is_not_flooded() -> None:
    line = Line(HdlcParameters(10, 128, 1, 1), HdlcParameters())
    line.carry(line.client.connect(), [])
    line.client.send(bytes(40))
    busy = control_octet(FrameKind.RECEIVE_NOT_READY, final=True, receive_seq=1)

    taken = line.client.receive(HdlcFrame(HdlcAddress.client(16), METER, busy).encode())

    assert taken.to_send == b""
    polled = HdlcDecoder().feed(line.client.repeat())
    assert [frame.kind for frame in polled] == [FrameKind.RECEIVE_READY]


def test_an_acknowledgement_of_frames_never_sent_is_ignored() -> None:
    line = Line(None, HdlcParameters())
    line.carry(line.client.connect(), [])
    odd = control_octet(FrameKind.RECEIVE_READY, final=True, receive_seq=5)

    line.server.receive(HdlcFrame(METER, HdlcAddress.client(16), odd))
    line.carry(line.client.send(b"\xc0\x01"), [])

    assert line.answered == [b"\x01\xc0"]


def test_sending_before_connecting_is_refused() -> None:
    with pytest.raises(FrameError, match="while disconnected"):
        HdlcClient(16, METER).send(b"\xc0")
