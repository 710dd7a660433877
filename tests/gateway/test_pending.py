from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.bus.wire import WireVersionError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality, Register
from metertwin.core.units import Unit
from metertwin.gateway.pending import PendingReadings, Piece, empty_batch
from metertwin.gateway.progress import (
    GatewayCheckpointError,
    GroupProgress,
    decode_progress,
    encode_progress,
)

GROUP = GroupId("g1")
ENERGY = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0)
VOLTAGE = Register(Obis(1, 0, 32, 7, 0), Unit.VOLT, -1)
PROFILE = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0, 900)


def moment(meter: str, at_us: int, integers: list[int]) -> Piece:
    registers = (ENERGY, VOLTAGE)[: len(integers)]
    return Piece(
        MeterId(meter), registers, integers, (at_us,), (Quality.GOOD,), at_us + 7, Origin.SIMULATED
    )


def profile(meter: str, ends_us: list[int]) -> Piece:
    return Piece(
        MeterId(meter),
        (PROFILE,),
        np.arange(len(ends_us), dtype=np.int64) + 100,
        np.array(ends_us, np.int64),
        np.full(len(ends_us), Quality.RECOVERED, np.uint8),
        9_000,
        Origin.MEASURED,
    )


def test_pieces_become_runs_numbered_on_from_the_progress() -> None:
    progress = GroupProgress()
    progress.of(MeterId("m1")).number = 40
    pending = PendingReadings(GROUP, 3)
    pending.add(moment("m1", 1_000, [5, 2301]))
    pending.add(moment("m2", 2_000, [6]))
    pending.add(profile("m1", [900, 1_800, 2_700]))
    assert len(pending) == 6
    numbered = pending.take_batch(progress, 100)
    assert numbered is not None
    batch = numbered.batch
    batch.check()
    assert list(batch.meters) == ["m1", "m2", "m1"]
    # m1 was at 40: its two values are 41 and 42, its three intervals go on with 43.
    assert batch.first_sequences.tolist() == [41, 1, 43]
    assert batch.counts.tolist() == [2, 1, 3]
    assert [
        (r.register, r.integer, r.quality, r.origin, r.captured_at) for r in batch.readings()
    ] == [
        (ENERGY, 5, Quality.GOOD, Origin.SIMULATED, us(1_000)),
        (VOLTAGE, 2301, Quality.GOOD, Origin.SIMULATED, us(1_000)),
        (ENERGY, 6, Quality.GOOD, Origin.SIMULATED, us(2_000)),
        (PROFILE, 100, Quality.RECOVERED, Origin.MEASURED, us(900)),
        (PROFILE, 101, Quality.RECOVERED, Origin.MEASURED, us(1_800)),
        (PROFILE, 102, Quality.RECOVERED, Origin.MEASURED, us(2_700)),
    ]
    assert progress.of(MeterId("m1")).number == 40  # not before the stream has it
    progress.take(batch, 77)
    assert progress.of(MeterId("m1")).number == 45
    assert progress.of(MeterId("m1")).profile_us == {900: 2_700}
    assert progress.of(MeterId("m2")).profile_us == {}
    assert progress.stream_sequence == 77
    assert not pending.filled.is_set()


def us(since_epoch_us: int) -> datetime:
    return datetime.fromtimestamp(since_epoch_us / 1e6, UTC)


def test_a_batch_takes_whole_pieces_up_to_its_limit_and_always_one() -> None:
    pending = PendingReadings(GROUP, 1)
    for meter in ("m1", "m2", "m3"):
        pending.add(moment(meter, 1, [1, 2]))
    progress = GroupProgress()
    sizes = []
    while (numbered := pending.take_batch(progress, 5)) is not None:
        sizes.append(len(numbered.batch))
    assert sizes == [4, 2]
    pending.add(profile("m1", list(range(1, 11))))
    alone = pending.take_batch(progress, 5)
    assert alone is not None
    assert len(alone.batch) == 10


meters = st.sampled_from(["m1", "m2", "m3"])
pieces = st.one_of(
    st.builds(moment, meters, st.integers(1, 10**9), st.lists(st.integers(0, 99), max_size=2)),
    st.builds(profile, meters, st.lists(st.integers(1, 10**9), max_size=5)),
)


@given(
    rounds=st.lists(st.lists(pieces, max_size=6), max_size=6),
    limit=st.integers(1, 12),
    cut=st.integers(0, 40),
)
def test_a_checkpoint_and_the_tail_are_the_state_before_the_crash(
    rounds: list[list[Piece]], limit: int, cut: int
) -> None:
    pending, progress = PendingReadings(GROUP, 4), GroupProgress()
    stream = [empty_batch(GROUP, 4)]
    progress.take(stream[0], 1)
    for round_pieces in rounds:
        for piece in round_pieces:
            pending.add(piece)
        while (numbered := pending.take_batch(progress, limit)) is not None:
            stream.append(numbered.batch)
            progress.take(numbered.batch, len(stream))
    expected_numbers = {
        meter: list(range(1, entry.number + 1)) for meter, entry in progress.meters.items()
    }
    numbers: dict[str, list[int]] = {}
    for batch in stream:
        owners = np.repeat(np.arange(len(batch.meters)), batch.counts)
        for row, number in zip(owners.tolist(), batch.sequences().tolist(), strict=True):
            numbers.setdefault(batch.meters[row], []).append(number)
    assert numbers == {m: n for m, n in expected_numbers.items() if n}
    # Crash after any message: the checkpoint of then, and what the stream has since.
    recovered = GroupProgress()
    for sequence, batch in enumerate(stream[:cut], 1):
        recovered.take(batch, sequence)
    recovered = decode_progress(encode_progress(recovered))
    for sequence, batch in enumerate(stream, 1):
        if sequence > recovered.stream_sequence:
            recovered.take(batch, sequence)
    assert recovered == progress


def test_a_batch_of_an_earlier_gateway_behind_the_fence_does_not_count() -> None:
    progress = GroupProgress()
    pending = PendingReadings(GROUP, 5)
    pending.add(moment("m1", 1_000, [5]))
    late = pending.take_batch(progress, 10)
    assert late is not None
    progress.take(empty_batch(GROUP, 6), 10)
    progress.take(late.batch, 11)
    assert progress.meters.get(MeterId("m1"), progress.of(MeterId("m1"))).number == 0
    assert (progress.stream_sequence, progress.epoch) == (11, 6)


def test_a_damaged_or_newer_checkpoint_is_refused() -> None:
    octets = encode_progress(GroupProgress())
    with pytest.raises(GatewayCheckpointError, match="is damaged"):
        decode_progress(octets[:-1])
    newer = bytes([octets[0], octets[1] + 1]) + octets[2:]
    with pytest.raises(WireVersionError, match="version 2, this program speaks version 1"):
        decode_progress(newer)
