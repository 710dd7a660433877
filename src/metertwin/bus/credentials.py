"""Who may do what on the bus: one seed per role, and one table of what each role may say and hear.

A role proves itself with an nkey (Ed25519): the server knows only public keys and asks for a
signature, so no secret crosses the wire or stands in the server's configuration. Each role
receives answers in an inbox of its own, which no other role can hear. An answer to a request one
was sent is allowed without being in the table; everything else that is not here is refused.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import nkeys

from metertwin.bus.place import Edge
from metertwin.bus.subjects import (
    CHECKPOINT_BUCKET,
    COMMAND_STREAM,
    DESIRED_BUCKET,
    EVENT_STREAM,
    FLEET_BUCKET,
    OWNERS_BUCKET,
    READING_STREAM,
    ROOT,
    WHOLE_GROUP,
    Kind,
    all_groups,
    of_host,
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
    FLEET = "fleet"  # moves groups between hosts, keeps a hub's sources awake
    CLIENT = "client"  # a customer's or researcher's own program


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects a role may publish to and subscribe to; its own inbox comes on top.

    Attributes:
        deny: Subjects it may use neither way, though others allow them.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny: tuple[str, ...] = ()


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


def _keeps_sourced(*streams: str) -> tuple[str, ...]:
    return tuple(
        f"$JS.API.STREAM.{action}.{stream}" for stream in streams for action in ("INFO", "UPDATE")
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
            *_said(Kind.REQUEST),  # what came while a group was handed over is passed on
            *_said(Kind.LAST_KNOWN),  # does another stand in already?
            *_reads_stream(READING_STREAM),
            *_reads_stream(EVENT_STREAM),
            *_reads_stream(COMMAND_STREAM),
            *_writes_bucket(OWNERS_BUCKET),
            *_writes_bucket(CHECKPOINT_BUCKET),
            *_writes_bucket(DESIRED_BUCKET),
        ),
        subscribe=(
            *_said(Kind.REQUEST, Kind.LAST_KNOWN, Kind.OUTCOME, Kind.EVENT),
            of_host("*", "*"),
        ),
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
            *_said(Kind.REQUEST, Kind.LAST_KNOWN, Kind.HISTORY),
            # How a gateway is doing; never a meter through it: that is the twin host's to decide.
            f"{ROOT}.*.{Kind.READ}.{WHOLE_GROUP}",
            *_reads_bucket(OWNERS_BUCKET),
        ),
        subscribe=_said(Kind.STATE, Kind.EVENT, Kind.OUTCOME, Kind.OUTPUT),
    ),
    Role.FLEET: Permissions(
        publish=(
            of_host("*", "*"),
            # How a group's host, gateway and recorder are; never a meter, and none through them.
            *(f"{ROOT}.*.{kind}.{WHOLE_GROUP}" for kind in (Kind.REQUEST, Kind.READ, Kind.HISTORY)),
            *_reads_bucket(OWNERS_BUCKET),
            f"$KV.{OWNERS_BUCKET}.twins.>",  # of owners that are gone for good, or cut otherwise
            f"$KV.{OWNERS_BUCKET}.cut.>",
            *_writes_bucket(FLEET_BUCKET),
            *_keeps_sourced(READING_STREAM, EVENT_STREAM, COMMAND_STREAM),
        ),
        subscribe=(),
    ),
    Role.CLIENT: Permissions(
        publish=_said(Kind.REQUEST, Kind.LAST_KNOWN, Kind.HISTORY),
        subscribe=_said(Kind.STATE, Kind.EVENT),
    ),
}


def permissions_at(role: Role, domains: tuple[str, ...]) -> Permissions:
    """Return what a role may at a site.

    Args:
        role: The role.
        domains: At a hub: the domains of its edges, whose streams and buckets are reached from
            here as well, as far as the role reaches them at all.
    """
    here = PERMISSIONS[role]
    there = tuple(across for domain in domains for across in _across(domain, here.publish))
    return Permissions((*here.publish, *there), here.subscribe)


def permissions_of_edge(edge: Edge) -> Permissions:
    """Return what may pass the link of an edge: publish is from it, subscribe is to it."""
    groups = tuple(f"{ROOT}.{group}.>" for group in edge.groups)
    inboxes = tuple(f"_INBOX_{role}.>" for role in Role)
    return Permissions(
        # Sourcing delivers to $JS.S, and its consumer is kept alive over $JS.FC.
        publish=(*groups, *inboxes, "$JS.S.>", "$JS.FC.>", "$JSC.>"),
        subscribe=(
            *groups,
            *inboxes,
            of_host(edge.site, "*"),
            f"$JS.{edge.site}.API.>",
            "$JS.ACK.>",
            "$JS.FC.>",
        ),
        # A stand-in is asked where it is: an edge has no use for the last values of its own twins.
        deny=_said(Kind.LAST_KNOWN),
    )


def _across(domain: str, subjects: tuple[str, ...]) -> Iterator[str]:
    api = f"$JS.{domain}.API"
    for each in subjects:
        if each.startswith("$JS.API.STREAM.UPDATE."):
            continue  # a site's streams are its own affair
        if each.startswith("$JS.API."):
            yield f"{api}.{each.removeprefix('$JS.API.')}"
        elif each.startswith("$KV."):
            yield f"{api}.{each}"


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


def ensure_seed(seed_file: Path) -> str:
    """Make a seed unless it is there, mode 0600, and return its public key.

    Raises:
        SeedError: It is damaged, or cannot be written.
    """
    try:
        _make_seed(seed_file)
    except OSError as error:
        raise SeedError(
            f"Bus seed {seed_file} cannot be written: {error.strerror}.", path=str(seed_file)
        ) from error
    return public_key(seed_file)


def _make_seed(seed_file: Path) -> None:
    if seed_file.exists():
        return
    seed: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    write_secret(seed_file, seed + b"\n")


def write_secret(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all; raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
