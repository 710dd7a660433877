"""The apps' part of a group's checkpoint: their states, the window, what is not yet carried out.

Blocks of the window stand beside the checkpoint under names that follow from their content: a day
that is over is written once and only named again.
"""

from collections.abc import Mapping, MutableMapping

import msgspec
import numpy as np

from metertwin.bus.wire import block_of_registers, registers_from_block
from metertwin.core.batch import Int64s
from metertwin.core.obis import Obis
from metertwin.twins.apps.blocks import CaptureBlock
from metertwin.twins.apps.effects import Effects
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.hosted_app import KeptState
from metertwin.twins.apps.series import CaptureSeries
from metertwin.twins.apps.window import IntervalWindow, Kind


class SavedSeries(msgspec.Struct, array_like=True, frozen=True):
    """One series of the window; `blocks` by number, under the name of the content."""

    register_block: bytes
    row_scalers: bytes
    blocks: dict[int, str]


class SavedApps(msgspec.Struct, array_like=True, frozen=True):
    """All that belongs to apps.

    Attributes:
        states: By name of the app.
        effects: What is not yet known to be carried out.
        now_us: Of the window.
        since_us: Of the window, by register.
        series: Of the window.
    """

    states: dict[str, KeptState] = {}
    effects: list[Effects] = []
    now_us: int = 0
    since_us: dict[str, int] = {}
    series: list[SavedSeries] = []


def save_apps(apps: AppHost) -> SavedApps:
    """Return what a checkpoint says of apps."""
    states = {
        name: msgspec.structs.replace(state, is_current=False)
        for name, state in apps.absent_states.items()
    }
    for hosted in apps.apps:
        if (state := hosted.state()) is not None:
            states[hosted.name] = state
    window = apps.window
    return SavedApps(
        states=states,
        effects=[*apps.effects],
        now_us=window.now_us,
        since_us={str(obis): window.first_us(obis) for obis in window.wanted_days},
        series=[_save_series(series) for series in window.series.values()],
    )


def blocks_of(window: IntervalWindow) -> dict[str, bytes]:
    """Return the blocks that a checkpoint names."""
    return dict(
        block.packed() for series in window.series.values() for block in series.blocks.values()
    )


def restore_apps(
    apps: AppHost,
    saved: SavedApps,
    blocks: Mapping[str, bytes],
    rows: Int64s,
    decoded: MutableMapping[str, CaptureBlock],
) -> None:
    """Give apps and window back what a checkpoint holds, as far as it is wanted today.

    Args:
        apps: The apps, fresh.
        saved: What the checkpoint says.
        blocks: The blocks it names.
        rows: Where each row of then is now: the site may list its meters in another order.
        decoded: Blocks decoded ahead, by name; those that are used are taken out.

    Raises:
        ValueError: A block is missing or damaged.
    """
    window = apps.window
    apps.effects.extend(saved.effects)
    apps.absent_states = dict(saved.states)
    for hosted in apps.apps:
        if hosted.name in saved.states:
            hosted.restore(apps.absent_states.pop(hosted.name))
    window.now_us = max(window.now_us, saved.now_us)
    for each in saved.series:
        series = _restored_series(each, blocks, decoded)
        if not np.array_equal(rows, np.arange(len(rows))):
            series.move_rows(rows)
        register = series.register
        if register.obis in window.wanted_days and str(register.obis) in saved.since_us:
            window.since_us[register.obis] = saved.since_us[str(register.obis)]
            series.drop_before(window.kept_from_us(register.obis))
            window.series[Kind(register.obis, register.unit, register.period_s)] = series
    for text, since_us in saved.since_us.items():
        if (obis := Obis.parse(text)) in window.wanted_days:
            window.since_us[obis] = since_us


def _save_series(series: CaptureSeries) -> SavedSeries:
    return SavedSeries(
        register_block=block_of_registers([series.register]),
        row_scalers=series.row_scalers.tobytes(),
        blocks={number: block.packed()[0] for number, block in sorted(series.blocks.items())},
    )


def _restored_series(
    saved: SavedSeries, blocks: Mapping[str, bytes], decoded: MutableMapping[str, CaptureBlock]
) -> CaptureSeries:
    (register,) = registers_from_block(saved.register_block)
    series = CaptureSeries(register)
    series.row_scalers = np.frombuffer(saved.row_scalers, np.int8).copy()
    for number, name in saved.blocks.items():
        if name not in blocks:
            raise ValueError(f"the block {name} of {register.obis} is missing")
        block = decoded.pop(name, None)  # out of there: it is written to from here on
        if block is None or block.slots_count != series.slots_count:
            block = CaptureBlock.unpack(blocks[name], series.slots_count)
        series.blocks[number] = block
    return series
