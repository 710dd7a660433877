"""The certificate a hub shows its edges: made once, carried to each with its seed, pinned there.

A link may cross networks that are nobody's. The hub proves itself with a key whose certificate the
edge has in its hands; no authority stands between. The edge proves itself with its seed.
"""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metertwin.bus.credentials import SeedError, write_secret

CERTIFICATE, KEY = "leaf.crt", "leaf.key"
_VALID = timedelta(days=3650)
_RENEWED_BEFORE = timedelta(days=365)
_CLOCKS_DIFFER = timedelta(days=1)  # an edge's clock may be behind the hub's


def ensure_certificate(seeds: Path, names: Iterable[str]) -> Path:
    """Make key and certificate of a hub unless they are there; return the certificate's path.

    A certificate that lacks one of the names, or ends within a year, is made anew: then it has to
    be carried to the edges again.

    Args:
        seeds: Directory of the roles' seeds; the key's file gets mode 0600.
        names: Hosts by which edges reach the hub: names, or addresses.

    Raises:
        SeedError: They cannot be read or written.
    """
    wanted = sorted(set(names))
    path = seeds / CERTIFICATE
    try:
        if not _is_good(path, wanted) or not (seeds / KEY).exists():
            _make(seeds, wanted)
    except OSError as error:
        raise SeedError(
            f"The certificate of the bus in {seeds} cannot be made: {error.strerror}.",
            path=str(seeds),
        ) from error
    return path


def _is_good(path: Path, names: list[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    has = {str(name.value) for name in extension.value}
    return set(names) <= has and certificate.not_valid_after_utc > (
        datetime.now(UTC) + _RENEWED_BEFORE
    )


def _make(seeds: Path, names: list[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MeterTwin hub")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(list(map(_named, names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_secret(seeds / KEY, secret)
    write_secret(seeds / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
