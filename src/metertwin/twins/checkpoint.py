"""A group's state as bytes, and back: what a host needs to go on where another one stopped.

The planes are cut to the rows in use and compressed; meters' energies share their upper bytes, so
a twin costs some 200 bytes. The checkpoint has a version of its own, because an upgraded host must
say clearly that it cannot read an old one rather than begin from nothing.
"""

import zlib
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from metertwin.bus.wire import block_of_registers, check_version, registers_from_block
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.ledger import Rows
from metertwin.twins.apps.blocks import CaptureBlock
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.saved import SavedApps, blocks_of, restore_apps, save_apps
from metertwin.twins.group import TwinGroup

CHECKPOINT_VERSION = 3
_READ_VERSIONS = (1, 2, CHECKPOINT_VERSION)  # 1 has no apps, 2 no commands


class Checkpoint(NamedTuple):
    """A checkpoint as it is kept.

    Attributes:
        octets: All of it but the blocks.
        blocks: Blocks of the apps' window, by a name that follows from the content.
    """

    octets: bytes
    blocks: Mapping[str, bytes]


class CheckpointError(InvalidInputError):
    """A checkpoint cannot be read; the state must be rebuilt from the stream."""

    code = "twins.checkpoint"


class _Checkpoint(msgspec.Struct, array_like=True, frozen=True):
    version: int
    stream_sequence: int
    gateway_epoch: int
    stale_count: int
    meters: list[str]
    register_block: bytes
    planes: list[bytes]  # compressed, in the order of TwinColumns.planes
    ledger: list[bytes]  # compressed received, taken, duplicate
    holes: dict[int, list[tuple[int, int]]]
    disconnects_accepted_at: list[datetime]
    apps: SavedApps = SavedApps()  # since version 2
    commands: list[tuple[Command, CommandOutcome]] = []  # since version 3
    saved_at: datetime | None = None  # by its host's clock; earlier programs pass over it


def encode_checkpoint(group: TwinGroup, apps: AppHost) -> Checkpoint:
    """Return the state of a group and its apps as of its `stream_sequence`."""
    used = len(group.columns)
    ledger = group.ledger
    octets = msgspec.msgpack.encode(
        _Checkpoint(
            version=CHECKPOINT_VERSION,
            stream_sequence=group.stream_sequence,
            gateway_epoch=group.gateway_epoch,
            stale_count=group.stale_count,
            meters=list(group.columns.meters),
            register_block=block_of_registers(group.columns.registers),
            planes=[_packed(plane[..., :used]) for plane in group.columns.planes()],
            ledger=[_packed(c[:used]) for c in (ledger.received, ledger.taken, ledger.duplicate)],
            holes=ledger.holes,
            disconnects_accepted_at=group.disconnects_accepted_at,
            apps=save_apps(apps),
            commands=list(group.commands.values()),
            saved_at=apps.now(),
        )
    )
    return Checkpoint(octets, blocks_of(apps.window))


def restore_checkpoint(
    group: TwinGroup,
    apps: AppHost,
    saved: Checkpoint,
    decoded: MutableMapping[str, CaptureBlock] | None = None,
) -> None:
    """Put the state of a checkpoint into an empty group and its apps; its own meters join behind.

    Args:
        group: The group.
        apps: Its apps.
        saved: The checkpoint.
        decoded: Blocks decoded ahead, by name; those that are used are taken out.

    Raises:
        WireVersionError: Another version wrote it; the error names both.
        CheckpointError: It is damaged.
    """
    octets = saved.octets
    try:
        state = msgspec.msgpack.decode(octets, type=_Checkpoint)
    except msgspec.DecodeError as error:
        check_version("checkpoint", octets, CHECKPOINT_VERSION)
        raise CheckpointError(
            f"Checkpoint of group {group.settings.id} ({len(octets)} bytes) is damaged: {error}."
        ) from None
    if state.version not in _READ_VERSIONS:
        check_version("checkpoint", octets, CHECKPOINT_VERSION)
    try:
        rows = _restore(group, state, apps.now())
        restore_apps(apps, state.apps, saved.blocks, rows, {} if decoded is None else decoded)
    except (ValueError, zlib.error) as error:
        raise CheckpointError(
            f"Checkpoint of group {group.settings.id} holds a broken column: {error}."
        ) from None


def _restore(group: TwinGroup, saved: _Checkpoint, now: datetime) -> Rows:
    rows = group.enrol([MeterId(meter) for meter in saved.meters])
    columns = group.columns.add_registers(registers_from_block(saved.register_block))
    for plane, packed in zip(group.columns.planes(), saved.planes, strict=True):
        values = _unpacked(packed, plane.dtype)
        if plane.ndim == 1:
            plane[rows] = values
        else:
            plane[np.ix_(columns, rows)] = values.reshape(len(columns), len(rows))
    ledger = group.ledger
    for column, packed in zip(
        (ledger.received, ledger.taken, ledger.duplicate), saved.ledger, strict=True
    ):
        column[rows] = _unpacked(packed, column.dtype)
    ledger.holes = {int(rows[row]): [*holes] for row, holes in saved.holes.items()}
    group.stream_sequence = saved.stream_sequence
    group.gateway_epoch = saved.gateway_epoch
    group.stale_count = saved.stale_count
    # The next host's clock may be hours off: what counts is how long ago it was when it was saved.
    # Time without a host does not count, so the interlock forgets rather later than sooner.
    passed = now - (saved.saved_at or now)
    group.disconnects_accepted_at = [at + passed for at in saved.disconnects_accepted_at]
    group.commands.update((command.id, (command, said)) for command, said in saved.commands)
    return rows


def _packed(values: NDArray[np.generic]) -> bytes:
    return zlib.compress(np.ascontiguousarray(values).tobytes(), level=1)


def _unpacked(packed: bytes, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.frombuffer(zlib.decompress(packed), dtype=dtype)
