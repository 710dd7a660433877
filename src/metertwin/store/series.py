"""How the integers of a series are to be read, written into an Arrow schema's metadata."""

from dataclasses import asdict, dataclass, replace
from typing import Self

import msgspec
import pyarrow as pa

_KEY = b"metertwin"


@dataclass(frozen=True, slots=True)
class SeriesLabel:
    """What a table of integers is about: value = integer x 10^scaler, in `unit`.

    Attributes:
        meter: Whose; empty for a table of many meters, which has a column `meter`.
        unit: Symbol of the unit; empty for a plain number.
        period_s: Capture period of the load profile, in s; 0 for values read at a moment.
    """

    meter: str
    obis: str
    unit: str
    scaler: int
    period_s: int

    def finer_by(self, digits: int) -> Self:
        """Return the label of integers that carry so many more decimal digits."""
        return replace(self, scaler=self.scaler - digits)

    def write_to(self, table: pa.Table) -> pa.Table:
        """Return the table with this label in its metadata."""
        return table.replace_schema_metadata({_KEY: msgspec.json.encode(asdict(self))})

    @classmethod
    def read_from(cls, table: pa.Table) -> Self | None:
        """Return the table's label; None when it is no series."""
        octets = (table.schema.metadata or {}).get(_KEY)
        return None if octets is None else msgspec.json.decode(octets, type=cls)
