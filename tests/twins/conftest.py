"""Batches made short to write."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.twins.hosting import Connect, Site

from metertwin.bus.credentials import Role
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock, to_us
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

IMPORT = Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, 0)
POWER = Register(Obis.parse("1-0:1.7.0*255"), Unit.WATT, 0)
PROFILE = Register(Obis.parse("1-0:1.8.0*255"), Unit.WATT_HOUR, 0, 900)
REGISTERS = (IMPORT, POWER, PROFILE)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

Row = tuple[int, int, float]  # register's place in REGISTERS, integer, captured seconds after noon
Run = tuple[str, int, Sequence[Row]]  # meter, first sequence, rows
MakeBatch = Callable[..., ReadingBatch]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def make_batch() -> MakeBatch:
    def make(*runs: Run, epoch: int = 1, received_s: float = 0.0) -> ReadingBatch:
        rows = [row for _, _, run_rows in runs for row in run_rows]
        batch = ReadingBatch(
            group=GroupId("g1"),
            epoch=epoch,
            meters=[MeterId(meter) for meter, _, _ in runs],
            first_sequences=np.array([first for _, first, _ in runs], dtype=np.int64),
            counts=np.array([len(run_rows) for _, _, run_rows in runs], dtype=np.uint32),
            registers=REGISTERS,
            register_index=np.array([register for register, _, _ in rows], dtype=np.uint16),
            integers=np.array([integer for _, integer, _ in rows], dtype=np.int64),
            captured_at_us=np.array([_us(captured) for _, _, captured in rows], dtype=np.int64),
            received_at_us=np.full(len(rows), _us(received_s), dtype=np.int64),
            quality=np.zeros(len(rows), dtype=np.uint8),
            origin=np.zeros(len(rows), dtype=np.uint8),
        )
        batch.check()
        return batch

    return make


def _us(after_noon_s: float) -> int:
    return to_us(NOON) + round(after_noon_s * 1e6)


@pytest.fixture
def counting_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of an app, beside this Python as if it were installed; returns where."""
    described = tmp_path / "packages" / "counting-1.0.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0.0\n")
    (described / "entry_points.txt").write_text(
        "[metertwin.apps]\ncounting = counting.app:Counting\nghost = counting.nowhere:Ghost\n"
    )
    monkeypatch.syspath_prepend(described.parent)
    monkeypatch.syspath_prepend(Path(__file__).parent / "counting_app")
    return described.parent


@pytest.fixture
async def site(
    connect_as: Connect, group: GroupId, clock: ManualClock, make_batch: MakeBatch
) -> Site:
    gateway, client = await connect_as(Role.GATEWAY), await connect_as(Role.CLIENT)
    return Site(group, gateway, client, clock, connect_as, make_batch)
