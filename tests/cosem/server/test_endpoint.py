"""Connections to a server: many meters behind one, strangers, and lines full of rubbish."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.apdu.get_request import GetRequestNormal
from metertwin.cosem.apdu.get_response import GetResponseNormal
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import uint32
from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.client import ClientState, HdlcClient
from metertwin.cosem.hdlc.parameters import HdlcParameters
from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.server.endpoint import ASSOCIATIONS_MAX, HdlcServerEndpoint, WrapperServer
from metertwin.cosem.wrapper import WrapperDecoder, WrapperFrame, encode_wrapper

Meter = LogicalDevice[SimpleNamespace]
ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
READ_ENERGY = GetRequestNormal(0xC1, ENERGY).encode()
OPEN = ClientAssociation(ClientSettings()).associate().request
NOT_ALLOWED = bytes.fromhex("d80101")


@pytest.fixture
def street(meter: Meter) -> dict[int, Meter]:
    """Meters of one model with readings of 1,000 Wh times their SAP."""
    return {
        sap: LogicalDevice(
            meter.model, SimpleNamespace(**{**vars(meter.state), "energy_wh": 1000 * sap}), sap=sap
        )
        for sap in (1, 2, 3)
    }


def test_questions_that_arrive_together_are_answered_together_in_order(
    street: dict[int, Meter],
) -> None:
    endpoint = WrapperServer(street)
    opened = b"".join(encode_wrapper(3, sap, OPEN) for sap in street)
    asked = b"".join(encode_wrapper(3, sap, READ_ENERGY) for sap in (2, 3, 1))

    answers = WrapperDecoder().feed(endpoint.receive(opened + asked))[3:]

    assert [(frame.source, frame.destination) for frame in answers] == [(2, 3), (3, 3), (1, 3)]
    assert [decode_apdu(frame.apdu) for frame in answers] == [
        GetResponseNormal(0xC1, uint32(energy_wh)) for energy_wh in (2000, 3000, 1000)
    ]


def test_clients_of_one_connection_have_associations_of_their_own(street: dict[int, Meter]) -> None:
    endpoint = WrapperServer(street)
    endpoint.receive(encode_wrapper(3, 1, OPEN))

    stranger = endpoint.receive(encode_wrapper(16, 1, READ_ENERGY))

    assert stranger == encode_wrapper(1, 16, NOT_ALLOWED)


def test_an_association_ends_with_its_connection(street: dict[int, Meter]) -> None:
    WrapperServer(street).receive(encode_wrapper(3, 1, OPEN))

    again = WrapperServer(street).receive(encode_wrapper(3, 1, READ_ENERGY))

    assert again == encode_wrapper(1, 3, NOT_ALLOWED)


def test_a_frame_for_nobody_is_dropped_and_counted(street: dict[int, Meter]) -> None:
    endpoint = WrapperServer(street)

    assert endpoint.receive(encode_wrapper(3, 99, OPEN)) == b""
    assert endpoint.unrouted_count == 1


def test_who_counts_up_client_addresses_gets_no_more_than_the_limit(
    street: dict[int, Meter],
) -> None:
    endpoint = WrapperServer(street)

    answers = [endpoint.receive(encode_wrapper(sap, 1, OPEN)) for sap in range(100, 1100)]

    assert sum(bool(answer) for answer in answers) == ASSOCIATIONS_MAX
    assert endpoint.unrouted_count == 1000 - ASSOCIATIONS_MAX


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frames=st.lists(st.binary(max_size=80), max_size=6), cut=st.integers(1, 50))
def test_any_apdus_in_any_pieces_get_answers_or_silence(
    street: dict[int, Meter], frames: list[bytes], cut: int
) -> None:
    endpoint = WrapperServer(street)
    stream = encode_wrapper(3, 1, OPEN) + b"".join(encode_wrapper(3, 1, apdu) for apdu in frames)
    stream += encode_wrapper(3, 1, OPEN) + encode_wrapper(3, 1, READ_ENERGY)

    answered = b"".join(
        endpoint.receive(stream[start : start + cut]) for start in range(0, len(stream), cut)
    )

    assert answered.endswith(
        WrapperFrame(1, 3, GetResponseNormal(0xC1, uint32(1000)).encode()).encode()
    )


def test_a_stream_that_is_none_ends_the_connection(street: dict[int, Meter]) -> None:
    with pytest.raises(FrameError, match="version 18245"):
        WrapperServer(street).receive(b"GET / HTTP/1.1\r\n\r\n")


@pytest.fixture
def dial() -> Callable[[HdlcServerEndpoint, HdlcClient], Callable[[bytes], bytes]]:
    """Connect an HDLC client; return a function that asks one APDU and returns the answer."""

    def connect(endpoint: HdlcServerEndpoint, line: HdlcClient) -> Callable[[bytes], bytes]:
        line.receive(endpoint.receive(line.connect()))

        def ask(apdu: bytes) -> bytes:
            taken = line.receive(endpoint.receive(line.send(apdu)))
            while taken.to_send:
                taken = line.receive(endpoint.receive(taken.to_send))
            return b"".join(taken.apdus)

        return ask

    return connect


def test_hdlc_reads_long_profiles_from_several_meters_on_one_line(
    street: dict[int, Meter],
    dial: Callable[[HdlcServerEndpoint, HdlcClient], Callable[[bytes], bytes]],
) -> None:
    endpoint = HdlcServerEndpoint(street, physical_address=17)
    wide = HdlcParameters(1000, 1000, 3, 3)
    profile = GetRequestNormal(0xC1, AttributeDescriptor(7, Obis.parse("1-0:99.1.0"), 2)).encode()
    for sap in street:
        ask = dial(endpoint, HdlcClient(3, HdlcAddress.server(sap, 17), wide))
        ask(OPEN)

        assert decode_apdu(ask(READ_ENERGY)) == GetResponseNormal(0xC1, uint32(1000 * sap))
        # 4 octets of response and array head, 1 of count, 96 rows of 2 + 14 + 2 + 5
        assert len(ask(profile)) == 4 + 2 + 96 * 23


@pytest.mark.parametrize("address", [HdlcAddress.server(1, 18), HdlcAddress.server(9, 17)])
def test_hdlc_is_silent_to_frames_for_others(
    street: dict[int, Meter], address: HdlcAddress
) -> None:
    endpoint = HdlcServerEndpoint(street, physical_address=17)

    assert endpoint.receive(HdlcClient(3, address).connect()) == b""
    assert endpoint.unrouted_count == 1


def test_a_new_hdlc_connection_ends_the_old_association(
    street: dict[int, Meter],
    dial: Callable[[HdlcServerEndpoint, HdlcClient], Callable[[bytes], bytes]],
) -> None:
    endpoint = HdlcServerEndpoint(street)
    line = HdlcClient(3, HdlcAddress.server(1))
    dial(endpoint, line)(OPEN)

    assert dial(endpoint, line)(READ_ENERGY) == NOT_ALLOWED


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(st.binary(max_size=100), max_size=6), place=st.integers(0, 40))
def test_no_rubbish_on_an_hdlc_line_stops_the_meter(
    street: dict[int, Meter], pieces: list[bytes], place: int
) -> None:
    endpoint = HdlcServerEndpoint(street)
    line = HdlcClient(3, HdlcAddress.server(1))
    opening = bytearray(line.connect())
    opening[place % len(opening)] ^= 0x55
    for piece in (*pieces, bytes(opening)):
        endpoint.receive(piece)
    # Rubbish can announce a frame of 2,047 octets, which idle flags fill.
    endpoint.receive(b"\x7e" * 2100)

    line.receive(endpoint.receive(line.connect()))

    assert line.state is ClientState.CONNECTED
