"""Who may do what on the bus: one seed per role, and one table of what each role may say and hear.

A role proves itself with an nkey (Ed25519): the server knows only public keys and asks for a
signature, so no secret crosses the wire or stands in the server's configuration. Each role
receives answers in an inbox of its own, which no other role can hear. An answer to a request one
was sent is allowed without being in the table; everything else that is not here is refused.
"""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import nkeys

from metertwin.bus.subjects import (
    CHECKPOINT_BUCKET,
    COMMAND_STREAM,
    DESIRED_BUCKET,
    EVENT_STREAM,
    OWNERS_BUCKET,
    READING_STREAM,
    ROOT,
    WHOLE_GROUP,
    Kind,
    all_groups,
)
from metertwin.core.errors import InvalidInputError


class SeedError(InvalidInputError):
    """A role's seed is missing, damaged, or readable by others."""

    code = "bus.seed"


class Role(StrEnum):
    """Who connects."""

    ADMIN = "admin"  # makes streams and buckets at start-up; nothing runs as it
    GATEWAY = "gateway"
    TWIN_HOST = "twin-host"
    RECORDER = "recorder"
    API = "api"
    CLIENT = "client"  # a customer's or researcher's own program


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects a role may publish to and subscribe to; its own inbox comes on top."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def _said(*kinds: Kind) -> tuple[str, ...]:
    return tuple(all_groups(kind) for kind in kinds)


def _reads_stream(stream: str) -> tuple[str, ...]:
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
    )


def _reads_bucket(bucket: str) -> tuple[str, ...]:
    stream = f"KV_{bucket}"
    return (
        *_reads_stream(stream),
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.FC.{stream}.>",  # flow control while listing keys
    )


def _writes_bucket(bucket: str) -> tuple[str, ...]:
    return (*_reads_bucket(bucket), f"$KV.{bucket}.>")


# Streams are also guarded here: whoever may not publish `reading` cannot add to READINGS.
PERMISSIONS: dict[Role, Permissions] = {
    Role.ADMIN: Permissions(
        publish=("$JS.API.>", "$KV.>", "mt.>"),
        subscribe=("mt.>",),
    ),
    Role.GATEWAY: Permissions(
        publish=(
            *_said(Kind.READING, Kind.EVENT, Kind.OUTCOME),
            *_reads_stream(READING_STREAM),  # its numbering is brought up to date from there
            *_reads_stream(COMMAND_STREAM),
            *_writes_bucket(OWNERS_BUCKET),
            *_writes_bucket(CHECKPOINT_BUCKET),
        ),
        subscribe=_said(Kind.READ, Kind.COMMAND),
    ),
    Role.TWIN_HOST: Permissions(
        publish=(
            *_said(Kind.EVENT, Kind.COMMAND, Kind.OUTCOME, Kind.STATE, Kind.OUTPUT),
            *_said(Kind.READ, Kind.HISTORY),
            *_reads_stream(READING_STREAM),
            *_reads_stream(EVENT_STREAM),
            *_reads_stream(COMMAND_STREAM),
            *_writes_bucket(OWNERS_BUCKET),
            *_writes_bucket(CHECKPOINT_BUCKET),
            *_writes_bucket(DESIRED_BUCKET),
        ),
        subscribe=_said(Kind.REQUEST, Kind.OUTCOME, Kind.EVENT),
    ),
    Role.RECORDER: Permissions(
        publish=(
            *_reads_stream(READING_STREAM),
            *_reads_stream(EVENT_STREAM),
            *_reads_stream(COMMAND_STREAM),
        ),
        subscribe=_said(Kind.HISTORY),
    ),
    Role.API: Permissions(
        publish=(
            *_said(Kind.REQUEST, Kind.HISTORY),
            # How a gateway is doing; never a meter through it: that is the twin host's to decide.
            f"{ROOT}.*.{Kind.READ}.{WHOLE_GROUP}",
            *_reads_bucket(OWNERS_BUCKET),
        ),
        subscribe=_said(Kind.STATE, Kind.EVENT, Kind.OUTCOME, Kind.OUTPUT),
    ),
    Role.CLIENT: Permissions(
        publish=_said(Kind.REQUEST, Kind.HISTORY),
        subscribe=_said(Kind.STATE, Kind.EVENT),
    ),
}


def seed_path(seeds: Path, role: Role) -> Path:
    """Return where a role's seed lies in the directory of seeds."""
    return seeds / f"{role}.seed"


def inbox_prefix(seed_file: Path) -> str:
    """Return what the subjects begin with under which the seed's role receives answers."""
    return f"_INBOX_{seed_file.stem}"


def ensure_seeds(seeds: Path) -> dict[Role, str]:
    """Make the seeds that are missing and return the public key of every role.

    The directory gets mode 0700 and each file 0600.

    Raises:
        SeedError: A seed is damaged, or the directory cannot be written.
    """
    try:
        seeds.mkdir(parents=True, exist_ok=True)
        seeds.chmod(0o700)
        for role in Role:
            _make_seed(seed_path(seeds, role))
    except OSError as error:
        raise SeedError(
            f"Bus seeds in {seeds} cannot be written: {error.strerror}.", path=str(seeds)
        ) from error
    return {role: public_key(seed_path(seeds, role)) for role in Role}


def public_key(seed_file: Path) -> str:
    """Return the public key to a seed.

    Raises:
        SeedError: The file is missing, damaged, or readable by others.
    """
    try:
        mode = seed_file.stat().st_mode & 0o777
        seed = bytearray(seed_file.read_bytes().strip())
    except OSError as error:
        raise SeedError(
            f"Bus seed {seed_file} cannot be read: {error.strerror}; "
            "it is made where the bus is started first.",
            path=str(seed_file),
        ) from error
    if mode & 0o077:
        raise SeedError(
            f"Bus seed {seed_file} has mode {mode:04o}; others may read it. Set it to 0600.",
            path=str(seed_file),
            mode=mode,
        )
    try:
        key: bytes = nkeys.from_seed(seed).public_key
    except (nkeys.NkeysError, ValueError) as error:
        raise SeedError(
            f"Bus seed {seed_file} is damaged; delete it and restart the site to make another.",
            path=str(seed_file),
        ) from error
    return key.decode()


def _make_seed(seed_file: Path) -> None:
    if seed_file.exists():
        return
    seed: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    fresh = seed_file.with_name(f"{seed_file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(seed + b"\n")
        os.fsync(file.fileno())
    fresh.replace(seed_file)
