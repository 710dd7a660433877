"""Measured profiles from a CSV or Parquet file, in place of invented households.

Columns, in any order:

| column | type | meaning |
|---|---|---|
| `meter` | text | whose profile it is; profiles are handed to the meters in order of appearance |
| `interval_start` | ISO 8601 with zone, or Parquet timestamp with zone | on a quarter of an hour |
| `import_wh` | number, 0 or more | drawn in the 15 minutes from there |
| `export_wh` | number, 0 or more; optional | fed in likewise |

Every meter has the same intervals, without gaps. With fewer profiles than meters they are handed
out again; after its end a profile starts anew.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metertwin.simulation.errors import ProfileFileError, problem_list
from metertwin.simulation.shapes import STEP_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REQUIRED = ("meter", "interval_start", "import_wh")
_STEPS_PER_HOUR = 3600 / STEP_S
# Reactive power is rarely measured; cos phi 0.97 is what a household has.
_VAR_PER_W = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredProfiles:
    """Profiles as a table.

    Attributes:
        names: The file's meters.
        first_start_s: Start of the first interval, s since 1970 UTC.
        import_w: Mean power of each interval, shape (intervals, meters of the file).
        export_w: Likewise.
    """

    names: tuple[str, ...]
    first_start_s: int
    import_w: Floats
    export_w: Floats

    def over(self, starts_s: Ints, rows: Ints) -> tuple[Floats, Floats, Floats]:
        """Return load in W, load in var and generation in W, each of shape (steps, rows)."""
        intervals = (starts_s - self.first_start_s) // STEP_S % len(self.import_w)
        places = np.ix_(intervals, rows % len(self.names))
        load_w = self.import_w[places]
        return load_w, load_w * _VAR_PER_W, self.export_w[places]


class _Row(NamedTuple):
    where: str
    meter: str
    start_s: int
    import_wh: float
    export_wh: float


def read_profiles(path: Path) -> MeasuredProfiles:
    """Read a profile file; the name's ending, .csv or .parquet, says which.

    Raises:
        ProfileFileError: The file is missing or breaks the schema above; every problem is named
            with its line (CSV) or row (Parquet).
    """
    if not path.is_file():
        raise ProfileFileError(f"{path} is no file; give a .csv or .parquet file.", path=str(path))
    if path.suffix == ".csv":
        raw = _csv_rows(path)
    elif path.suffix == ".parquet":
        raw = _parquet_rows(path)
    else:
        raise ProfileFileError(f"{path} ends neither in .csv nor in .parquet.", path=str(path))
    problems: list[str] = []
    rows: list[_Row] = []
    for where, fields in raw:
        row = _row(where, fields, problems)
        if row is not None:
            rows.append(row)
    if not problems and not rows:
        problems.append("It has no rows.")
    if problems:
        raise ProfileFileError(problem_list(str(path), problems), path=str(path))
    return _table(path, rows)


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(path, "line 1", list(reader.fieldnames or ()))
            for fields in reader:
                yield f"line {reader.line_num}", dict(fields)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProfileFileError(f"{path} is no UTF-8 CSV: {error}.", path=str(path)) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ProfileFileError(f"{path} is no Parquet file: {error}.", path=str(path)) from error
    _check_columns(path, "its schema", table.column_names)
    for number, fields in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", fields


def _check_columns(path: Path, where: str, names: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ProfileFileError(
            f"{path}, {where}: column {', '.join(missing)} is missing, there are "
            f"{', '.join(names) or 'none'}; wanted are meter, interval_start, import_wh and, "
            "if there is one, export_wh.",
            path=str(path),
            missing=missing,
        )


def _row(where: str, fields: dict[str, object], problems: list[str]) -> _Row | None:
    meter = fields["meter"]
    start_s = _quarter_s(where, fields["interval_start"], problems)
    import_wh = _energy_wh(where, "import_wh", fields["import_wh"], problems)
    export_wh = _energy_wh(where, "export_wh", fields.get("export_wh") or 0, problems)
    if not meter:
        problems.append(f"{where}: meter is empty.")
    if start_s is None or import_wh is None or export_wh is None or not meter:
        return None
    return _Row(where, str(meter), start_s, import_wh, export_wh)


def _quarter_s(where: str, value: object, problems: list[str]) -> int | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        problems.append(f"{where}: interval_start {value!r} is no ISO 8601 time.")
        return None
    if moment.tzinfo is None:
        problems.append(f"{where}: interval_start {value} has no zone; write 2026-01-31T13:45Z.")
        return None
    since_s = moment.timestamp()
    if since_s % STEP_S:
        problems.append(f"{where}: interval_start {value} is not on a quarter of an hour.")
        return None
    return int(since_s)


def _energy_wh(where: str, name: str, value: object, problems: list[str]) -> float | None:
    try:
        energy_wh = float(str(value))
    except ValueError:
        problems.append(f"{where}: {name} {value!r} is no number.")
        return None
    if not (math.isfinite(energy_wh) and energy_wh >= 0):
        problems.append(f"{where}: {name} {value} is not 0 or more; export has its own column.")
        return None
    return energy_wh


def _table(path: Path, rows: list[_Row]) -> MeasuredProfiles:
    names = tuple(dict.fromkeys(row.meter for row in rows))
    place = {name: number for number, name in enumerate(names)}
    first_s = min(row.start_s for row in rows)
    count = (max(row.start_s for row in rows) - first_s) // STEP_S + 1
    # Looked at first: one wrong century would ask for more memory than there is.
    if count * len(names) > 2 * len(rows) + 96:
        raise ProfileFileError(
            f"{path}: {len(names)} meters over {count} intervals from the first to the last "
            f"interval_start need {count * len(names)} rows, there are {len(rows)}; "
            "check the dates, and that all meters cover the same span.",
            path=str(path),
        )
    power = np.full((2, count, len(names)), np.nan)
    problems: list[str] = []
    for row in rows:
        interval, meter = (row.start_s - first_s) // STEP_S, place[row.meter]
        if not np.isnan(power[0, interval, meter]):
            problems.append(f"{row.where}: meter {row.meter} has this interval_start already.")
        power[:, interval, meter] = row.import_wh * _STEPS_PER_HOUR, row.export_wh * _STEPS_PER_HOUR
    for name in names:
        missing_count = int(np.isnan(power[0, :, place[name]]).sum())
        if missing_count:
            last = next(row.where for row in reversed(rows) if row.meter == name)
            problems.append(
                f"{last}: meter {name} ends with {missing_count} of {count} intervals missing; "
                "fill the gaps or cut the file to the span that all meters have."
            )
    if problems:
        raise ProfileFileError(problem_list(str(path), problems), path=str(path))
    return MeasuredProfiles(names, first_s, power[0], power[1])
