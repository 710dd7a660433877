"""Ciphering and authentication of APDUs: AES-GCM with the suite's keys.

The initialisation vector is the sender's system title and invocation counter, so a counter must
never be used twice with one key; receivers refuse one that is not above the last.

References:
    DLMS UA Green Book, security suites 0 to 2; checked with its published examples
    (tests/cosem/golden/security.json).
"""

import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from metertwin.core.errors import InvalidInputError
from metertwin.cosem.errors import ReplayError, SecurityError

TAG_OCTETS = 12
SYSTEM_TITLE_OCTETS = 8
COUNTER_MAX = 0xFFFF_FFFF
_HEADER_OCTETS = 5


class SecuritySuite(IntEnum):
    """Which algorithms: AES-128-GCM, the same with ECDSA P-256 beside it, AES-256-GCM."""

    AES_128 = 0
    AES_128_ECDSA_P256 = 1
    AES_256_ECDSA_P384 = 2

    @property
    def key_octets(self) -> int:
        """Length of the encryption and of the authentication key."""
        return 32 if self is SecuritySuite.AES_256_ECDSA_P384 else 16


class SecurityControl(NamedTuple):
    """The first octet of ciphered content: suite and what was done."""

    suite: SecuritySuite = SecuritySuite.AES_128
    is_authenticated: bool = True
    is_encrypted: bool = True
    is_broadcast: bool = False

    def to_octet(self) -> int:
        """Return the octet.

        Example:
            >>> hex(SecurityControl().to_octet())
            '0x30'
        """
        return (
            self.suite
            | self.is_authenticated << 4
            | self.is_encrypted << 5
            | self.is_broadcast << 6
        )

    @classmethod
    def from_octet(cls, octet: int) -> "SecurityControl":
        """Read the octet.

        Raises:
            SecurityError: The suite is unknown, or the content is compressed, which is not
                supported.
        """
        if octet & 0x80 or octet & 0x0F > SecuritySuite.AES_256_ECDSA_P384:
            raise SecurityError(
                f"Security control {octet:02X} asks for compression or for suite {octet & 0x0F}; "
                "suites 0 to 2 without compression are supported.",
                security_control=octet,
            )
        return cls(
            SecuritySuite(octet & 0x0F), bool(octet & 0x10), bool(octet & 0x20), bool(octet & 0x40)
        )


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys one meter shares with one client.

    Attributes:
        encryption_key: Global unicast encryption key (EK), 16 octets, with suite 2 32.
        authentication_key: Authentication key (AK), as long.
        suite: The security suite.

    Raises:
        InvalidInputError: A key has another length than the suite's.
    """

    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)
    suite: SecuritySuite = SecuritySuite.AES_128

    def __post_init__(self) -> None:
        for key in (self.encryption_key, self.authentication_key):
            if len(key) != self.suite.key_octets:
                raise InvalidInputError(
                    f"A key has {len(key)} octets; suite {self.suite.value} needs "
                    f"{self.suite.key_octets}.",
                    key_octets=len(key),
                )

    def with_encryption_key(self, key: bytes) -> "KeyRing":
        """Return the same keys but for the encryption key, as for a dedicated one.

        Raises:
            InvalidInputError: The key has another length than the suite's.
        """
        return KeyRing(key, self.authentication_key, self.suite)


class Opened(NamedTuple):
    """What ciphered content held."""

    plaintext: bytes
    control: SecurityControl
    invocation_counter: int


def protect(
    plaintext: bytes,
    keys: KeyRing,
    control: SecurityControl,
    system_title: bytes,
    invocation_counter: int,
) -> bytes:
    """Return the ciphered content of an APDU: control, counter, text and perhaps tag.

    Args:
        plaintext: The whole APDU.
        keys: The keys; a dedicated key takes the place of the encryption key.
        control: What to do; without authentication and encryption the text stays as it is.
        system_title: The sender's title, 8 octets.
        invocation_counter: The sender's counter, 0 to 2^32 - 1, never used before with this key.

    Raises:
        SecurityError: The title or the counter does not fit.
    """
    octet = bytes((control.to_octet(),))
    vector = _vector(system_title, invocation_counter)
    start = octet + vector[SYSTEM_TITLE_OCTETS:]
    associated = octet + keys.authentication_key
    if control.is_encrypted:
        text, tag = _seal(keys.encryption_key, vector, plaintext, associated)
        return start + text + (tag if control.is_authenticated else b"")
    if control.is_authenticated:
        tag = _seal(keys.encryption_key, vector, b"", associated + plaintext)[1]
        return start + plaintext + tag
    return start + plaintext


def unprotect(content: bytes, keys: KeyRing, system_title: bytes) -> Opened:
    """Return what ciphered content holds, after checking its tag if it has one.

    The caller judges whether the protection is the one its policy demands.

    Args:
        content: Security control, invocation counter, text and perhaps tag.
        keys: The keys; a dedicated key takes the place of the encryption key.
        system_title: The sender's title, 8 octets.

    Raises:
        SecurityError: The content is too short, of another suite, or its tag is wrong.
    """
    if len(content) < _HEADER_OCTETS:
        raise SecurityError(f"Ciphered content has {len(content)} octets; 5 are the least.")
    control = SecurityControl.from_octet(content[0])
    if control.suite is not keys.suite:
        raise SecurityError(
            f"The content is of suite {control.suite.value}, the keys of {keys.suite.value}.",
            suite=control.suite.value,
        )
    counter = int.from_bytes(content[1:_HEADER_OCTETS], "big")
    vector = _vector(system_title, counter)
    text = content[_HEADER_OCTETS:]
    tag = None
    if control.is_authenticated:
        if len(text) < TAG_OCTETS:
            raise SecurityError(f"{len(text)} octets are too few for the authentication tag.")
        text, tag = text[:-TAG_OCTETS], text[-TAG_OCTETS:]
    associated = content[:1] + keys.authentication_key
    if control.is_encrypted:
        text = _open(keys.encryption_key, vector, text, associated if tag else b"", tag)
    elif tag is not None:
        _open(keys.encryption_key, vector, b"", associated + text, tag)
    return Opened(text, control, counter)


def gmac_answer(
    challenge: bytes, keys: KeyRing, system_title: bytes, invocation_counter: int
) -> bytes:
    """Return f(challenge) of HLS mechanism 5: control, counter and GMAC, 17 octets.

    Args:
        challenge: StoC for the client's answer, CtoS for the server's.
        keys: The keys.
        system_title: The answering side's title, 8 octets.
        invocation_counter: The answering side's counter.

    Raises:
        SecurityError: The title or the counter does not fit.
    """
    octet = bytes((SecurityControl(keys.suite, is_encrypted=False).to_octet(),))
    vector = _vector(system_title, invocation_counter)
    associated = octet + keys.authentication_key + challenge
    tag = _seal(keys.encryption_key, vector, b"", associated)[1]
    return octet + vector[SYSTEM_TITLE_OCTETS:] + tag


def check_gmac_answer(answer: bytes, challenge: bytes, keys: KeyRing, system_title: bytes) -> int:
    """Check the other side's f(challenge) and return the counter it used.

    Raises:
        SecurityError: It is not the GMAC of the challenge under these keys.
    """
    counter = int.from_bytes(answer[1:_HEADER_OCTETS], "big")
    expected = gmac_answer(challenge, keys, system_title, counter)
    if not hmac.compare_digest(answer, expected):
        raise SecurityError("The answer to the challenge is wrong; check keys and system title.")
    return counter


def is_same_secret(given: bytes, expected: bytes) -> bool:
    """Compare a password in a time that does not tell where it differs."""
    return hmac.compare_digest(given, expected)


class CounterGate:
    """Lets each invocation counter of one sender and key pass once, and only upwards."""

    __slots__ = ("lowest_accepted",)

    def __init__(self, lowest_accepted: int = 0) -> None:
        self.lowest_accepted = lowest_accepted

    def admit(self, invocation_counter: int) -> None:
        """Remember a counter whose APDU passed its check.

        Raises:
            ReplayError: It is below the lowest accepted.
        """
        if invocation_counter < self.lowest_accepted:
            raise ReplayError(
                f"Invocation counter {invocation_counter} is below {self.lowest_accepted}, the "
                "lowest still accepted: the APDU is a replay, or the sender lost its counter.",
                invocation_counter=invocation_counter,
                lowest_accepted=self.lowest_accepted,
            )
        self.lowest_accepted = invocation_counter + 1


def _vector(system_title: bytes, invocation_counter: int) -> bytes:
    if len(system_title) != SYSTEM_TITLE_OCTETS or not 0 <= invocation_counter <= COUNTER_MAX:
        raise SecurityError(
            f"A system title of {len(system_title)} octets or the invocation counter "
            f"{invocation_counter} does not fit: 8 octets and 0 to 2^32 - 1 do. Renew the keys "
            "when a counter is used up.",
            system_title=system_title.hex(),
            invocation_counter=invocation_counter,
        )
    return system_title + invocation_counter.to_bytes(4, "big")


@lru_cache(maxsize=4096)
def _cipher(key: bytes) -> AESGCM:
    """Return the cipher of a key; setting one up takes longer than ciphering an APDU."""
    return AESGCM(key)


def _seal(key: bytes, vector: bytes, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
    sealed = _cipher(key).encrypt(vector, plaintext, associated)
    end = len(plaintext)
    return sealed[:end], sealed[end : end + TAG_OCTETS]


def _open(key: bytes, vector: bytes, text: bytes, associated: bytes, tag: bytes | None) -> bytes:
    # The library opens only tags of 16 octets. GCM's encryption is its own inverse, so the text is
    # encrypted back, and its tag computed anew and compared before anything leaves this function:
    # seven times as fast as the library's streaming interface, which would take 12 octets.
    plaintext = _seal(key, vector, text, b"")[0]
    if tag is not None:
        expected = _seal(key, vector, plaintext, associated)[1]
        if not hmac.compare_digest(tag, expected):
            raise SecurityError(
                "The authentication tag is wrong; check keys, system title and suite."
            )
    return plaintext
