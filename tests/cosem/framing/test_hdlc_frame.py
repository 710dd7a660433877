"""HDLC frames: published frames, an independent implementation, noise on the line."""

import itertools

import pytest
from dlms_cosem.crc import CRCCCITT
from dlms_cosem.hdlc import address as independent_address
from dlms_cosem.hdlc import frames as independent
from hypothesis import given
from hypothesis import strategies as st

from metertwin.cosem.errors import FrameError
from metertwin.cosem.hdlc.address import HdlcAddress
from metertwin.cosem.hdlc.checksum import frame_check
from metertwin.cosem.hdlc.decoder import HdlcDecoder
from metertwin.cosem.hdlc.frame import FrameKind, HdlcFrame, control_octet, decode_frame
from metertwin.cosem.hdlc.parameters import HdlcParameters

# Connecting client 16 to server 1, as published in the manuals of several meters.
SNRM = bytes.fromhex("7ea0070321930f017e")
UA = bytes.fromhex(
    "7ea01e210373c37a81801205018006018007040000000108040000000153 3b7e".replace(" ", "")
)

_parts = st.integers(0, 0x3FFF)
_addresses = st.one_of(
    st.builds(HdlcAddress.client, st.integers(0, 127)),
    st.builds(HdlcAddress.server, _parts, st.none() | _parts),
)
_frames = st.builds(
    HdlcFrame, _addresses, _addresses, st.integers(0, 255), st.binary(max_size=80), st.booleans()
)


def test_published_snrm_is_read_and_written() -> None:
    frame = decode_frame(SNRM[1:-1])

    assert frame.kind is FrameKind.SET_NORMAL_RESPONSE_MODE
    assert (frame.destination, frame.source) == (HdlcAddress.server(1), HdlcAddress.client(16))
    assert frame.is_final
    assert frame.encode() == SNRM


def test_published_ua_carries_the_default_parameters() -> None:
    frame = decode_frame(UA[1:-1])

    assert frame.kind is FrameKind.UNNUMBERED_ACKNOWLEDGE
    assert HdlcParameters.decode(frame.information) == HdlcParameters(128, 128, 1, 1)
    assert frame.encode() == UA
    assert HdlcParameters().encode() == frame.information


@given(st.binary(max_size=300))
def test_check_sequence_agrees_with_the_independent_one(octets: bytes) -> None:
    assert frame_check(octets) == CRCCCITT().calculate_for(octets)


@given(
    st.tuples(st.integers(1, 127), st.integers(1, 127), st.integers(1, 127)),
    st.binary(min_size=1, max_size=100),
    st.tuples(st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.booleans(), st.booleans()),
)
def test_the_independent_client_writes_the_same_information_frame(
    addresses: tuple[int, int, int],
    payload: bytes,
    numbers: tuple[int, int],
    flags: tuple[bool, bool],
) -> None:
    sap, upper, lower = addresses
    send_seq, receive_seq = numbers
    final, segmented = flags
    theirs = independent.InformationFrame(
        independent_address.HdlcAddress(upper, lower, "server"),
        independent_address.HdlcAddress(sap, None, "client"),
        payload,
        segmented,
        final,
        send_seq,
        receive_seq,
    )
    control = control_octet(
        FrameKind.INFORMATION, final=final, send_seq=send_seq, receive_seq=receive_seq
    )
    ours = HdlcFrame(
        HdlcAddress.server(upper, lower), HdlcAddress.client(sap), control, payload, segmented
    )

    assert ours.encode() == theirs.to_bytes()
    assert (ours.send_seq, ours.receive_seq, ours.is_final) == (send_seq, receive_seq, final)


@given(_frames)
def test_a_frame_survives_the_line(frame: HdlcFrame) -> None:
    assert HdlcDecoder().feed(frame.encode()) == [frame]


@given(st.lists(_frames, min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_frames_come_out_whole_wherever_the_stream_is_cut(
    frames: list[HdlcFrame], cuts: list[int]
) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = HdlcDecoder()

    received: list[HdlcFrame] = []
    for start, end in itertools.pairwise(places):
        received += decoder.feed(stream[start:end])

    assert received == frames


def test_one_flag_may_close_a_frame_and_open_the_next() -> None:
    assert len(HdlcDecoder().feed(SNRM + UA[1:])) == 2


@given(_frames, st.data())
def test_a_changed_octet_never_passes_for_the_frame(frame: HdlcFrame, data: st.DataObject) -> None:
    sent = frame.encode()
    place = data.draw(st.integers(1, len(sent) - 2))
    changed = bytearray(sent)
    changed[place] ^= data.draw(st.integers(1, 255))

    assert frame not in HdlcDecoder().feed(bytes(changed))


def test_after_noise_the_next_frame_is_found() -> None:
    decoder = HdlcDecoder()
    damaged = bytearray(UA)
    damaged[10] ^= 0xFF

    assert decoder.feed(b"\x00\x7e\x55" + bytes(damaged) + SNRM) == [decode_frame(SNRM[1:-1])]
    assert decoder.rejected_count >= 1


@given(st.lists(st.binary(max_size=700), max_size=6))
def test_any_octets_are_survived_in_bounded_memory(pieces: list[bytes]) -> None:
    decoder = HdlcDecoder()
    for piece in pieces:
        decoder.feed(piece)
        assert len(decoder._held) <= 2 + 2047


def test_an_address_of_three_octets_is_refused() -> None:
    with pytest.raises(FrameError, match="No HDLC address of 1, 2 or 4 octets at offset 0"):
        HdlcAddress.decode(b"\x02\x04\x07\x09", 0)


@given(_addresses)
def test_addresses_survive_their_octets(address: HdlcAddress) -> None:
    octets = address.encode()

    assert HdlcAddress.decode(b"\xff" + octets, 1) == (address, 1 + len(octets))


@given(
    st.builds(
        HdlcParameters,
        st.integers(1, 2030),
        st.integers(1, 2030),
        st.integers(1, 7),
        st.integers(1, 7),
    )
)
def test_parameters_survive_their_octets(parameters: HdlcParameters) -> None:
    assert HdlcParameters.decode(parameters.encode()) == parameters


@given(st.binary(max_size=40))
def test_any_parameters_end_in_values_or_the_documented_error(octets: bytes) -> None:
    for candidate in (octets, b"\x81\x80" + bytes((len(octets),)) + octets):
        try:
            agreed = HdlcParameters().agreed_with(HdlcParameters.decode(candidate))
        except FrameError:
            continue
        assert agreed.transmit_octets_max <= 128


def test_what_is_agreed_on_is_what_both_can() -> None:
    server = HdlcParameters(1000, 500, 4, 7)
    client = HdlcParameters(256, 700, 2, 3)

    # The server sends what the client receives: min(1000, 700); takes what it sends: min(500, 256).
    assert server.agreed_with(client) == HdlcParameters(700, 256, 3, 2)


def test_a_wrong_header_check_is_refused_even_under_a_right_frame_check() -> None:
    broken = bytearray(UA[1:-1])
    broken[6] ^= 0x01  # the header check stands behind format, addresses and control
    broken[-2:] = frame_check(bytes(broken[:-2]))

    with pytest.raises(FrameError, match="header check sequence"):
        decode_frame(bytes(broken))


def test_a_frame_too_long_for_its_length_field_is_refused() -> None:
    frame = HdlcFrame(HdlcAddress.server(1), HdlcAddress.client(16), 0x10, bytes(2040))

    with pytest.raises(FrameError, match="2049 octets exceeds 2047"):
        frame.encode()
