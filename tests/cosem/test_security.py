from collections.abc import Callable
from typing import Any

import pytest
from dlms_cosem import security as independent
from hypothesis import given
from hypothesis import strategies as st

from metertwin.core.errors import InvalidInputError
from metertwin.cosem.channel import Channel, Wrapping
from metertwin.cosem.errors import ReplayError, SecurityError
from metertwin.cosem.security import (
    CounterGate,
    KeyRing,
    SecurityControl,
    SecuritySuite,
    check_gmac_answer,
    gmac_answer,
    protect,
    unprotect,
)

CLIENT = bytes.fromhex("4d4d4d0000000001")
SERVER = bytes.fromhex("4d4d4d0000bc614e")
GET = bytes.fromhex("c0010000080000010000ff0200")


def test_published_examples(
    golden: Callable[[str], list[dict[str, Any]]], green_book_keys: KeyRing
) -> None:
    for case in golden("security"):
        control = SecurityControl.from_octet(int(case["control"], 16))
        title, plaintext = bytes.fromhex(case["system_title"]), bytes.fromhex(case["plaintext"])
        content = protect(plaintext, green_book_keys, control, title, case["counter"])
        assert content.hex() == case["content"], case["name"]
        opened = unprotect(content, green_book_keys, title)
        assert opened == (plaintext, control, case["counter"])


def test_published_hls_gmac_answers(green_book_keys: KeyRing) -> None:
    # DLMS UA Green Book 8.1, table 43: StoC "P6wRJ21F", CtoS "K56iVagY".
    client = gmac_answer(b"P6wRJ21F", green_book_keys, CLIENT, 1)
    server = gmac_answer(b"K56iVagY", green_book_keys, SERVER, 0x01234567)
    assert client.hex() == "10000000011a52fe7dd3e72748973c1e28"
    assert server.hex() == "1001234567fe1466afb3dbcd4f9389e2b7"
    assert check_gmac_answer(client, b"P6wRJ21F", green_book_keys, CLIENT) == 1
    for wrong in (client[:-1], client[:-1] + b"\x00", b"", b"\x30" + client[1:]):
        with pytest.raises(SecurityError, match="answer to the challenge is wrong"):
            check_gmac_answer(wrong, b"P6wRJ21F", green_book_keys, CLIENT)
    with pytest.raises(SecurityError):
        check_gmac_answer(client, b"P6wRJ21F", green_book_keys, SERVER)


_CONTROLS = st.builds(
    SecurityControl, st.just(SecuritySuite.AES_128), st.booleans(), st.booleans(), st.booleans()
)


@given(
    st.binary(min_size=1, max_size=100),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 2**32 - 1),
)
def test_an_independent_library_seals_alike(
    plaintext: bytes, key: bytes, authentication_key: bytes, title: bytes, counter: int
) -> None:
    control = independent.SecurityControlField(security_suite=0, authenticated=True, encrypted=True)
    sealed = independent.encrypt(control, title, counter, key, plaintext, authentication_key)
    ours = protect(plaintext, KeyRing(key, authentication_key), SecurityControl(), title, counter)
    assert ours[5:] == sealed


@given(st.binary(max_size=200), _CONTROLS, st.integers(0, 2**32 - 1))
def test_what_is_protected_opens(plaintext: bytes, control: SecurityControl, counter: int) -> None:
    keys = KeyRing(b"k" * 16, b"a" * 16)
    content = protect(plaintext, keys, control, SERVER, counter)
    assert unprotect(content, keys, SERVER) == (plaintext, control, counter)


@given(st.binary(max_size=60), st.integers(0), st.integers(1, 255), st.booleans())
def test_any_changed_octet_is_noticed(
    plaintext: bytes,
    place: int,
    change: int,
    is_encrypted: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    keys = KeyRing(b"k" * 32, b"a" * 32, SecuritySuite.AES_256_ECDSA_P384)
    control = SecurityControl(keys.suite, is_encrypted=is_encrypted)
    content = bytearray(protect(plaintext, keys, control, SERVER, 5))
    index = place % len(content)
    content[index] ^= change
    try:
        opened = unprotect(bytes(content), keys, SERVER)
    except SecurityError:
        return
    # Only a control octet that takes the authentication away opens; a channel refuses that.
    assert index == 0
    assert not opened.control.is_authenticated


@given(st.binary(max_size=60))
def test_any_octets_open_or_are_refused(noise: bytes) -> None:
    keys = KeyRing(b"k" * 16, b"a" * 16)
    try:
        opened = unprotect(noise, keys, SERVER)
    except SecurityError:
        return
    assert not opened.control.is_authenticated


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="A key has 16 octets; suite 2 needs 32"):
        KeyRing(b"k" * 16, b"a" * 32, SecuritySuite.AES_256_ECDSA_P384)


def test_keys_do_not_show_in_logs(green_book_keys: KeyRing) -> None:
    assert repr(green_book_keys) == "KeyRing(suite=<SecuritySuite.AES_128: 0>)"


@pytest.mark.parametrize("octet", [0x03, 0x0F, 0x80, 0xB0])
def test_unknown_suites_and_compression_are_refused(octet: int, green_book_keys: KeyRing) -> None:
    with pytest.raises(SecurityError, match="suites 0 to 2 without compression"):
        unprotect(bytes((octet,)) + bytes(30), green_book_keys, SERVER)
    with pytest.raises(SecurityError, match=r"content is of suite 1, the keys of 0"):
        unprotect(bytes((0x31,)) + bytes(30), green_book_keys, SERVER)


def test_counters_pass_once_and_upwards() -> None:
    gate = CounterGate(5)
    gate.admit(5)
    gate.admit(9)
    for old in (9, 8, 0):
        with pytest.raises(ReplayError, match=f"Invocation counter {old} is below 10"):
            gate.admit(old)


def test_a_used_up_counter_is_refused(green_book_keys: KeyRing) -> None:
    with pytest.raises(SecurityError, match="Renew the keys"):
        protect(GET, green_book_keys, SecurityControl(), SERVER, 2**32)


def _pair(keys: KeyRing, wrapping: Wrapping) -> tuple[Channel, Channel]:
    here = Channel(keys, CLIENT, SERVER, wrapping=wrapping)
    return here, Channel(keys, SERVER, CLIENT, next_counter=700)


@pytest.mark.parametrize("wrapping", Wrapping)
def test_a_channel_opens_either_wrapping_and_refuses_replays(
    wrapping: Wrapping, green_book_keys: KeyRing
) -> None:
    here, there = _pair(green_book_keys, wrapping)
    sealed = here.seal(GET)
    assert there.open(sealed) == GET
    with pytest.raises(ReplayError):
        there.open(sealed)
    assert there.open(here.seal(GET)) == GET
    assert here.next_counter == 2
    here.use_dedicated(b"d" * 16)
    there.use_dedicated(b"d" * 16)
    assert there.open(here.seal(GET)) == GET
    assert (here.next_counter, here.next_dedicated_counter) == (2, 1)


def test_a_channel_refuses_less_protection_and_other_senders(green_book_keys: KeyRing) -> None:
    here, there = _pair(green_book_keys, Wrapping.GENERAL)
    with pytest.raises(SecurityError, match="without the ciphering"):
        there.open(GET)
    for control in (SecurityControl(is_encrypted=False), SecurityControl(is_authenticated=False)):
        here.control = control
        with pytest.raises(SecurityError, match="is less than the 30"):
            there.open(here.seal(GET))
    stranger = Channel(green_book_keys, b"STRANGER", SERVER, wrapping=Wrapping.GENERAL)
    with pytest.raises(SecurityError, match="comes under title 535452414e474552"):
        there.open(stranger.seal(GET))
    with pytest.raises(SecurityError, match="no service-specific ciphered form"):
        _pair(green_book_keys, Wrapping.SERVICE)[0].seal(b"\x60\x00")
