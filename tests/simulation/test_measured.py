from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metertwin.simulation.columns import UWH_PER_WH, Energy
from metertwin.simulation.errors import ProfileFileError
from metertwin.simulation.measured import read_profiles
from metertwin.simulation.world import World

HEAD = "meter,interval_start,import_wh,export_wh\n"
GOOD = HEAD + (
    "a,2026-01-05T11:00Z,250,0\n"
    "b,2026-01-05T11:00Z,0,100\n"
    "a,2026-01-05T11:15Z,125,0\n"
    "b,2026-01-05T12:15+01:00,50,0\n"
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "profiles.csv"
        path.write_text(text)
        return path

    return write


def test_a_csv_file_is_read(write: Callable[[str], Path]) -> None:
    profiles = read_profiles(write(GOOD))
    assert profiles.names == ("a", "b")
    # 250 Wh in a quarter of an hour are 1000 W.
    assert profiles.import_w.tolist() == [[1000.0, 0.0], [500.0, 200.0]]
    assert profiles.export_w.tolist() == [[0.0, 400.0], [0.0, 0.0]]
    assert profiles.first_start_s == int(datetime(2026, 1, 5, 11, tzinfo=UTC).timestamp())


def test_a_parquet_file_says_the_same(write: Callable[[str], Path], tmp_path: Path) -> None:
    first = datetime(2026, 1, 5, 11, tzinfo=UTC)
    table = pa.table(
        {
            "meter": ["a", "b", "a", "b"],
            "interval_start": [first, first, *[first + timedelta(minutes=15)] * 2],
            "import_wh": [250.0, 0.0, 125.0, 50.0],
            "export_wh": [0.0, 100.0, 0.0, 0.0],
        }
    )
    path = tmp_path / "profiles.parquet"
    pq.write_table(table, path)
    from_parquet, from_csv = read_profiles(path), read_profiles(write(GOOD))
    assert from_parquet.names == from_csv.names
    assert (from_parquet.import_w == from_csv.import_w).all()
    assert (from_parquet.export_w == from_csv.export_w).all()


def test_meters_count_what_the_file_says(
    write: Callable[[str], Path], make_world: Callable[..., World]
) -> None:
    world = make_world(profile_file=write(GOOD), meter_count=3, group_size=3)
    world.advance(world.now + timedelta(minutes=30))
    counted_wh = np.rint(world.columns.energy_uwh / UWH_PER_WH).astype(int)
    # The third meter gets the first profile again.
    assert counted_wh[Energy.IMPORT, :3].tolist() == [375, 50, 375]
    assert counted_wh[Energy.EXPORT, :3].tolist() == [0, 100, 0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "meter,import_wh\na,1\n",
            r"line 1: column interval_start is missing, there are meter, im",
        ),
        (HEAD, "It has no rows"),
        (HEAD + "a,yesterday,1,\n", "line 2: interval_start 'yesterday' is no ISO 8601 time"),
        (HEAD + "a,2026-01-05T11:00,1,\n", "line 2: interval_start 2026-01-05T11:00 has no zone"),
        (HEAD + "a,2026-01-05T11:07Z,1,\n", "line 2: .* is not on a quarter of an hour"),
        (HEAD + "a,2026-01-05T11:00Z,many,\n", "line 2: import_wh 'many' is no number"),
        (HEAD + "a,2026-01-05T11:00Z,-3,\n", "line 2: import_wh -3 is not 0 or more"),
        (HEAD + "a,2026-01-05T11:00Z,nan,\n", "line 2: import_wh nan is not 0 or more"),
        (HEAD + "a,2026-01-05T11:00Z,1,inf\n", "line 2: export_wh inf is not 0 or more"),
        (HEAD + ",2026-01-05T11:00Z,1,\n", "line 2: meter is empty"),
        (GOOD + "a,2026-01-05T11:15Z,1,\n", "line 6: meter a has this interval_start already"),
        (GOOD + "a,2026-01-05T11:30Z,1,\n", "line 5: meter b ends with 1 of 3 intervals missing"),
        (GOOD + "a,2126-01-05T11:30Z,1,\n", "check the dates"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    write: Callable[[str], Path], text: str, problem: str
) -> None:
    with pytest.raises(ProfileFileError, match=problem):
        read_profiles(write(text))


def test_a_parquet_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profiles.parquet"
    start = datetime(2026, 1, 5, 11, tzinfo=UTC)
    rows = {"meter": ["a"], "interval_start": [start], "import_wh": [-1.0]}
    pq.write_table(pa.table(rows), path)
    with pytest.raises(ProfileFileError, match=r"row 1: import_wh -1\.0 is not 0 or more"):
        read_profiles(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match="is no file"):
        read_profiles(tmp_path / "none.csv")
    other = tmp_path / "profiles.xlsx"
    other.write_bytes(b"PK")
    with pytest.raises(ProfileFileError, match=r"neither in \.csv nor in \.parquet"):
        read_profiles(other)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1nothing")
    with pytest.raises(ProfileFileError, match="is no Parquet file"):
        read_profiles(broken)
