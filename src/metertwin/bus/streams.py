"""The streams and buckets of the bus, made at start-up and left alone if they are right.

Streams keep messages until they are too old or too many; nobody's acknowledgement deletes
anything, so a consumer that starts again can read from where its checkpoint stands. Size the
limits so that a consumer's longest absence fits into them.
"""

from dataclasses import dataclass, fields

import nats.errors
from nats.js.api import (
    DiscardPolicy,
    ExternalStream,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamSource,
)
from nats.js.errors import APIError, NotFoundError

from metertwin.bus.connection import Bus
from metertwin.bus.domain import stream_api_of
from metertwin.bus.place import BusPlace
from metertwin.bus.server_errors import StoreError
from metertwin.bus.subjects import (
    CHECKPOINT_BUCKET,
    COMMAND_STREAM,
    DESIRED_BUCKET,
    EVENT_STREAM,
    FLEET_BUCKET,
    OWNERS_BUCKET,
    READING_STREAM,
    Kind,
    all_groups,
    of_group,
)
from metertwin.core.errors import UnavailableError

SOURCED_STREAMS = (READING_STREAM, EVENT_STREAM, COMMAND_STREAM)
_BUCKETS = (OWNERS_BUCKET, DESIRED_BUCKET, CHECKPOINT_BUCKET, FLEET_BUCKET)
_DAY_S = 86_400.0
_INSUFFICIENT_STORAGE = 10047  # JSStorageResourcesExceededErr


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much is kept; the oldest goes first.

    Attributes:
        readings_bytes: Of READINGS on disk; a reading is about 40 bytes in a batch.
        readings_age_s: Age at which readings go, in s.
        others_bytes: Of EVENTS and of COMMANDS, each.
        others_age_s: Age at which events and commands go, in s.
        bucket_bytes: Of each bucket.
        duplicate_window_s: How long the server remembers message ids, in s. What is repeated
            later is dropped by the consumers' ledgers.
    """

    readings_bytes: int = 4 * 1024**3
    readings_age_s: float = 14 * _DAY_S
    others_bytes: int = 1024**3
    others_age_s: float = 90 * _DAY_S
    bucket_bytes: int = 1024**3
    duplicate_window_s: float = 300.0


async def ensure_streams(
    bus: Bus, limits: StreamLimits | None = None, place: BusPlace | None = None
) -> None:
    """Make what is missing and bring what differs to the limits; needs the admin role.

    Args:
        bus: The connection.
        limits: How much is kept.
        place: Of the server among others: a hub's streams take its own groups' messages and source
            the edges' streams.

    Raises:
        StoreError: The limits exceed what the server may keep on disk.
        UnavailableError: The server refuses or does not answer; the sentence says why.
    """
    for config in stream_configs(limits or StreamLimits(), place or BusPlace()):
        try:
            await _ensure(bus, config)
        except APIError as error:
            if error.err_code == _INSUFFICIENT_STORAGE:
                raise StoreError(
                    f"Stream {config.name} wants {config.max_bytes} bytes on disk, more than the "
                    "bus has left; lower the stream limits or give the bus more.",
                    stream=config.name,
                ) from error
            raise UnavailableError(
                f"Stream {config.name} cannot be made: {error.description}.", stream=config.name
            ) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise UnavailableError(
                f"Stream {config.name} cannot be made: the bus does not answer ({error}).",
                stream=config.name,
            ) from error


async def last_sequence_of(bus: Bus, stream: str) -> int:
    """Return the sequence of a stream's newest message.

    Raises:
        UnavailableError: The bus does not answer.
    """
    try:
        return (await bus.js.stream_info(stream)).state.last_seq
    except (nats.errors.Error, APIError, TimeoutError) as error:
        raise UnavailableError(
            f"How far stream {stream} goes is not known, the bus does not answer: {error}.",
            stream=stream,
        ) from error


def stream_configs(limits: StreamLimits, place: BusPlace) -> list[StreamConfig]:
    """Return how the streams, and the streams behind the buckets, shall be."""
    readings = (limits.readings_bytes, limits.readings_age_s)
    others = (limits.others_bytes, limits.others_age_s)
    streams = [
        (READING_STREAM, (Kind.READING,), *readings),
        (EVENT_STREAM, (Kind.EVENT, Kind.OUTPUT), *others),
        (COMMAND_STREAM, (Kind.COMMAND, Kind.OUTCOME), *others),
    ]
    return [
        *(
            StreamConfig(
                name=name,
                subjects=_subjects(kinds, place),
                sources=_sources(name, place),
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                discard=DiscardPolicy.OLD,
                max_bytes=max_bytes,
                max_age=age_s,
                duplicate_window=min(limits.duplicate_window_s, age_s),
                deny_delete=True,  # a stream is evidence: it forgets by age and size only
                deny_purge=True,
            )
            for name, kinds, max_bytes, age_s in streams
        ),
        *(_bucket(name, limits) for name in _BUCKETS),
    ]


def _subjects(kinds: tuple[Kind, ...], place: BusPlace) -> list[str] | None:
    if not place.is_hub:
        return [all_groups(kind) for kind in kinds]
    # What an edge says live passes here too and is stored there: taken here as well it came twice.
    return [of_group(group, kind) for group in place.own_groups for kind in kinds] or None


def _sources(name: str, place: BusPlace) -> list[StreamSource] | None:
    return [
        StreamSource(name=name, external=ExternalStream(api=stream_api_of(edge.site)))
        for edge in place.edges
    ] or None


def _bucket(name: str, limits: StreamLimits) -> StreamConfig:
    """Return the stream that is a bucket, as the client library's key_value() expects it."""
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=limits.bucket_bytes,
        max_msgs_per_subject=1,
        duplicate_window=120.0,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
    )


async def _ensure(bus: Bus, wanted: StreamConfig) -> None:
    try:
        present = (await bus.js.stream_info(wanted.name)).config  # type: ignore[arg-type] # named above
    except NotFoundError:
        await bus.js.add_stream(wanted)
        return
    if _differs(present, wanted):
        await bus.js.update_stream(wanted)


def _differs(present: StreamConfig, wanted: StreamConfig) -> bool:
    if _apis(present) != _apis(wanted):
        return True
    return any(
        getattr(wanted, each.name) not in (None, getattr(present, each.name))
        for each in fields(StreamConfig)
        if each.name != "sources"  # the server fills in what was left open
    )


def _apis(config: StreamConfig) -> set[str]:
    return {source.external.api for source in config.sources or () if source.external}
