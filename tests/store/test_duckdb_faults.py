"""What the DuckDB backend does when its file or its disk misbehaves."""

import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.errors import (
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
    StoreVersionError,
)
from metertwin.store.harvest import Harvest

MakeBatch = Callable[..., ReadingBatch]
ENERGY = Obis(1, 0, 1, 8, 0)
BEGIN, END = from_us(0), from_us(10**15)


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    script = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    owner = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=f"open in another process.*PID {owner.pid}"):
            DuckDbStore(path)
        owner.communicate("\n")
    DuckDbStore(path).close()


def test_a_file_that_is_no_history_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamagedError, match=r"history\.duckdb is damaged; put a backup"):
        DuckDbStore(path)


def test_flipped_bytes_are_found(tmp_path: Path, make_batch: MakeBatch) -> None:
    path = tmp_path / "history.duckdb"
    store = DuckDbStore(path)
    store.record(Harvest([(make_batch([("m1", s, s, s, 0) for s in range(1, 500)]), None)]))
    store.close()
    octets = bytearray(path.read_bytes())
    octets[12288:] = bytes(octet ^ 0x5A for octet in octets[12288:])
    path.write_bytes(octets)
    with pytest.raises(StoreDamagedError, match="is damaged"):
        DuckDbStore(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="check that its folder exists"):
        DuckDbStore(tmp_path / "nowhere" / "history.duckdb")


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    store = DuckDbStore(path)
    store._file.writer.execute("UPDATE layout SET version = 99")
    store.close()
    with pytest.raises(StoreVersionError, match=r"layout \[99\], this program knows 2"):
        DuckDbStore(path)


@pytest.mark.fault
def test_a_full_disk_loses_and_doubles_nothing(tmp_path: Path, make_batch: MakeBatch) -> None:
    path = tmp_path / "history.duckdb"
    store = DuckDbStore(path)
    rng = np.random.default_rng(7)  # random values do not compress, so the limit is reached
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, unlimited[1]))
    refused_count, recorded_count, number = 0, 0, 0
    try:
        while refused_count < 3 and number < 200:
            values = rng.integers(0, 2**60, 5_000).tolist()
            rows = [("m1", number * 5_000 + k, v, 1, 0) for k, v in enumerate(values)]
            harvest = Harvest([(make_batch(rows), None)], positions={"READINGS": number + 1})
            try:
                store.record(harvest)
            except StoreFullError as error:
                refused_count += 1
                assert "free some space" in str(error)  # noqa: PT017 # the loop goes on after it
            else:
                recorded_count += 1
                number += 1
        assert refused_count == 3
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        store.record(harvest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, ignored)
    expected_count = (recorded_count + 1) * 5_000
    assert store.registers(MeterId("m1"))["reading_count"].to_pylist() == [expected_count]
    store.close()
    store = DuckDbStore(path)
    assert store.registers(MeterId("m1"))["reading_count"].to_pylist() == [expected_count]
    assert store.remembered().positions == {"READINGS": recorded_count + 1}
    store.close()


def test_a_transaction_whose_end_was_not_seen_is_not_done_twice(
    tmp_path: Path, make_batch: MakeBatch
) -> None:
    store = DuckDbStore(tmp_path / "history.duckdb")
    harvest = Harvest([(make_batch([("m1", 1, 1, 1, 0)]), None)], positions={"READINGS": 5})
    store.record(harvest)
    store._is_certain = False  # as after a commit that answered with an error
    store.record(harvest)
    assert store.read_range(MeterId("m1"), ENERGY, BEGIN, END)["integer"].to_pylist() == [1]
    assert store._is_certain
    store.close()


_WRITER = """
    import sys
    from pathlib import Path
    import numpy as np
    from metertwin.core.batch import ReadingBatch
    from metertwin.core.ids import GroupId, MeterId
    from metertwin.core.ledger import Ledger
    from metertwin.core.obis import Obis
    from metertwin.core.reading import Register
    from metertwin.core.units import Unit
    from metertwin.store.duckdb import DuckDbStore
    from metertwin.store.harvest import Harvest, LedgerRows

    store = DuckDbStore(Path(sys.argv[1]))
    remembered = store.remembered()
    ledger, done = remembered.ledger, remembered.positions.get("READINGS", 0)
    meters = [MeterId(f"m{n}") for n in range(50)]
    ids = store.meter_ids(GroupId("g1"), meters)
    ledger.resize(50)
    counts, zeros = np.full(50, 20, np.uint32), np.zeros(1000, np.uint8)
    register = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0)
    while True:
        batch = ReadingBatch(
            GroupId("g1"), 1, meters, np.full(50, done * 20 + 1, np.int64), counts, [register],
            np.zeros(1000, np.uint16), np.arange(1000), np.tile(np.arange(20), 50) + done * 20,
            np.zeros(1000, np.int64), zeros, zeros,
        )
        kept = ledger.admit(ids, batch.first_sequences, counts.astype(np.int64))
        done += 1
        rows = LedgerRows.of(ledger, ids)
        store.record(Harvest([(batch, kept)], rows, positions={"READINGS": done}))
        print(done, flush=True)
"""


@pytest.mark.fault
def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    acknowledged = 0
    for round_count in (3, 17, 40):
        arguments = [sys.executable, "-c", textwrap.dedent(_WRITER), str(path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(round_count):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
        store = DuckDbStore(path)
        done = store.remembered().positions["READINGS"]
        assert done >= acknowledged
        for line in store.ledger():
            assert (line.received, line.taken, line.missing) == (done * 20, done * 20, 0)
            found = store.read_range(line.meter, ENERGY, BEGIN, END)["sequence"].to_pylist()
            assert found == list(range(1, done * 20 + 1))
        store.close()
