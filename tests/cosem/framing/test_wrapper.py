"""The TCP wrapper: cut anywhere, refused when broken, and as the independent client writes it."""

import itertools

import pytest
from dlms_cosem.protocol.wrappers import WrapperHeader, WrapperProtocolDataUnit
from hypothesis import given
from hypothesis import strategies as st

from metertwin.cosem.errors import FrameError
from metertwin.cosem.wrapper import WrapperDecoder, WrapperFrame, encode_wrapper

_ports = st.integers(0, 0xFFFF)
_frames = st.builds(WrapperFrame, _ports, _ports, st.binary(max_size=60))


def test_a_frame_is_version_ports_length_and_apdu() -> None:
    # 0001 version, 0010 = 16 source, 0001 = 1 destination, 0003 octets
    assert encode_wrapper(16, 1, b"\xc0\x01\xc1").hex() == "0001001000010003c001c1"


@given(_frames)
def test_the_independent_client_writes_the_same_octets(frame: WrapperFrame) -> None:
    header = WrapperHeader(frame.source, frame.destination, len(frame.apdu))

    assert frame.encode() == WrapperProtocolDataUnit(frame.apdu, header).to_bytes()


@given(st.lists(_frames, max_size=8), st.lists(st.integers(0, 600), max_size=8))
def test_frames_come_out_whole_wherever_the_stream_is_cut(
    frames: list[WrapperFrame], cuts: list[int]
) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = WrapperDecoder()

    received: list[WrapperFrame] = []
    for start, end in itertools.pairwise(places):
        received += decoder.feed(stream[start:end])

    assert received == frames
    assert decoder.held_octets_count == 0


@given(st.binary(max_size=300))
def test_any_octets_end_in_frames_or_the_documented_error(octets: bytes) -> None:
    decoder = WrapperDecoder(payload_octets_max=64)
    try:
        for frame in decoder.feed(octets):
            assert len(frame.apdu) <= 64
    except FrameError:
        return
    assert decoder.held_octets_count < 8 + 64


def test_another_version_is_refused_and_names_the_likely_reason() -> None:
    with pytest.raises(FrameError, match=r"version 32416, known is 1.*HDLC"):
        WrapperDecoder().feed(b"\x7e\xa0\x07\x03\x21\x93\x0f\x01\x7e")


def test_a_length_above_the_limit_is_refused_before_its_octets_come() -> None:
    with pytest.raises(FrameError, match="announces 1025 octets, accepted are 1024") as caught:
        WrapperDecoder(1024).feed(bytes.fromhex("0001001000010401"))

    assert caught.value.facts == {"length": 1025, "payload_octets_max": 1024}


def test_an_apdu_longer_than_the_length_field_is_refused() -> None:
    with pytest.raises(FrameError, match=r"65536 octets.*block transfer"):
        encode_wrapper(1, 1, bytes(65_536))
