"""What is rated: interval energies of meters, their contracts, and prices known only afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metertwin.core.clock import from_us
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.profile import Flags
from metertwin.core.reading import Origin
from metertwin.core.units import Unit

Counts = NDArray[np.signedinteger[Any]]
SCALER_MAX = 3
_US_PER_S = 1_000_000
_LIMIT = 2**63
_COLUMNS = (
    "import_counts",
    "export_counts",
    "import_varh_counts",
    "is_estimated",
    "is_missing",
    "is_import_estimated",
    "is_export_estimated",
)


class RatingError(InvalidInputError):
    """A usage that a tariff cannot be applied to."""

    code = "input.rating"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a customer agreed on, for the basic charge of a two-part tariff.

    Attributes:
        contracted_kva: Capacity of the transformer or of the contract.
        declared_kw: Demand declared in advance.

    Raises:
        RatingError: One of them is below 0 or no finite number.
    """

    contracted_kva: Decimal | None = None
    declared_kw: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("contracted_kva", "declared_kw"):
            value = getattr(self, name)
            if value is not None and not (value.is_finite() and value >= 0):
                raise RatingError(
                    f"A contract has {name} {value}; give a finite number of 0 or more, or none."
                )


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices of real-time energy, before the tariff's factor and adder.

    Attributes:
        start_us: From when the first price holds, microseconds since 1970 UTC.
        period_s: How long each holds, a multiple of the metering interval.
        prices_per_kwh: In the tariff's currency; negative prices occur.
    """

    start_us: int
    period_s: int
    prices_per_kwh: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Dynamics:
    """What is known only shortly before or after: real-time prices, critical-peak events.

    Attributes:
        prices: Needed by tariffs with a real-time price.
        critical_peaks_us: Events as [start, end), microseconds since 1970 UTC, ascending, apart.
    """

    prices: PriceSeries | None = None
    critical_peaks_us: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class UsageBatch:
    """Interval energies of several meters on one grid.

    Attributes:
        meters: Meter of each row.
        start_us: Start of the first interval, a billing month's first moment.
        period_s: Length of an interval.
        scaler: A count is 10^scaler Wh (or varh), -9 to 3.
        import_counts: Energy drawn, 0 or more, shape (n_meters, n_intervals), any integer dtype.
        export_counts: Energy fed in, same shape; None: nothing.
        import_varh_counts: Reactive energy drawn, same shape; None: not metered.
        is_estimated: Whether the energy was estimated or substituted, same shape; None: nowhere.
        is_missing: Whether nothing is known of the interval, same shape; None: nowhere. Missing
            intervals count as no energy; the bill says how many there are.
        contracts: Contract of each row; None where no tariff needs one.
        is_import_estimated: Whether that is true of the energy drawn; None: as `is_estimated`.
        is_export_estimated: Whether it is true of the energy fed in; None: as `is_estimated`.
    """

    meters: Sequence[MeterId]
    start_us: int
    period_s: int
    scaler: int
    import_counts: Counts
    export_counts: Counts | None = None
    import_varh_counts: Counts | None = None
    is_estimated: Flags | None = None
    is_missing: Flags | None = None
    contracts: Sequence[Contract] | None = None
    is_import_estimated: Flags | None = None
    is_export_estimated: Flags | None = None

    def __post_init__(self) -> None:
        shape = self.import_counts.shape
        others = (
            self.export_counts,
            self.import_varh_counts,
            self.is_estimated,
            self.is_missing,
            self.is_import_estimated,
            self.is_export_estimated,
        )
        shapes = {column.shape for column in others if column is not None} | {shape}
        if len(shape) != 2 or shape[0] != len(self.meters) or shapes != {shape}:
            raise RatingError(
                f"Usage of {len(self.meters)} meters has columns of shapes {sorted(shapes)}; give "
                "one row per meter, all of one shape."
            )
        if self.contracts is not None and len(self.contracts) != len(self.meters):
            raise RatingError(
                f"Usage of {len(self.meters)} meters has {len(self.contracts)} contracts; give one "
                "per meter or none at all."
            )
        if self.period_s <= 0 or not -9 <= self.scaler <= SCALER_MAX:
            raise RatingError(
                f"Usage has intervals of {self.period_s} s and scaler {self.scaler}; intervals "
                "must be above 0 s, the scaler -9 to 3.",
                period_s=self.period_s,
                scaler=self.scaler,
            )

    @classmethod
    def of(
        cls,
        imports: IntervalTable,
        exports: IntervalTable | None = None,
        reactive: IntervalTable | None = None,
        contracts: Sequence[Contract] | None = None,
    ) -> "UsageBatch":
        """Return the usage that interval tables tell.

        Args:
            imports: Active energy drawn. Its estimated and substituted intervals count as
                estimated, those not known as missing.
            exports: Active energy fed in, same meters and intervals.
            reactive: Reactive energy drawn, same meters and intervals.
            contracts: Contract of each meter.

        Raises:
            RatingError: The tables are of other meters or intervals, count something else, or
                have totals over intervals not known, which `core.vee` puts into estimates.
        """
        tables = [table for table in (imports, exports, reactive) if table is not None]
        for table in tables:
            _check_measured(table, Unit.VAR_HOUR if table is reactive else Unit.WATT_HOUR)
        grids = {(tuple(t.meters), t.start_us, t.register.period_s, t.gain.shape) for t in tables}
        if len(grids) != 1:
            raise RatingError(
                "Interval tables of one usage are of different meters, starts, periods or lengths; "
                "ask for the same range of each register."
            )
        scaler = min(SCALER_MAX, *(table.register.scaler for table in tables))
        estimated = [_is_estimated(table) for table in tables]
        return cls(
            meters=imports.meters,
            start_us=imports.start_us,
            period_s=imports.register.period_s,
            scaler=scaler,
            import_counts=_counts(imports, scaler),
            export_counts=None if exports is None else _counts(exports, scaler),
            import_varh_counts=None if reactive is None else _counts(reactive, scaler),
            is_estimated=np.logical_or.reduce(estimated),
            is_missing=np.logical_or.reduce([~table.is_known for table in tables]),
            contracts=contracts,
            is_import_estimated=estimated[0] if len(tables) > 1 else None,
            is_export_estimated=None if exports is None else estimated[1],
        )

    @property
    def interval_count(self) -> int:
        """Intervals of each meter."""
        return int(self.import_counts.shape[1])

    @property
    def period_us(self) -> int:
        """Length of an interval in microseconds."""
        return self.period_s * _US_PER_S

    @property
    def end_us(self) -> int:
        """First microsecond after the last interval."""
        return self.start_us + self.interval_count * self.period_us

    def rows(self, first_row: int, end_row: int) -> "UsageBatch":
        """Return the usage of some of the meters, without copying."""
        part = slice(first_row, end_row)
        return replace(
            self,
            meters=self.meters[part],
            contracts=None if self.contracts is None else self.contracts[part],
            **self._cut(np.s_[part]),
        )

    def intervals(self, first_index: int, end_index: int) -> "UsageBatch":
        """Return intervals [first, end), without copying."""
        start_us = self.start_us + first_index * self.period_us
        return replace(self, start_us=start_us, **self._cut(np.s_[:, first_index:end_index]))

    def _cut(self, part: slice | tuple[slice, slice]) -> dict[str, Any]:
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return {name: column[part] for name, column in columns.items() if column is not None}


def _is_estimated(table: IntervalTable) -> Flags:
    flags: Flags = (table.origin == Origin.ESTIMATED) | (table.origin == Origin.SUBSTITUTED)
    return flags


def _check_measured(table: IntervalTable, unit: Unit) -> None:
    obis = table.register.obis
    if table.register.unit is not unit:
        raise RatingError(
            f"Register {obis} counts {table.register.unit.symbol or 'no unit'}, and its place in a "
            f"usage is for {unit.symbol}; give energy drawn and fed in, in Wh, and reactive energy "
            "in varh."
        )
    if len(table.spans):
        row, first = int(table.spans.row[0]), int(table.spans.first_index[0])
        at_us = table.start_us + first * table.period_us
        raise RatingError(
            f"Register {obis} of meter {table.meters[row]} has only a total over "
            f"{table.spans.interval_count[0]} intervals from {from_us(at_us).isoformat()} "
            f"({len(table.spans)} such totals in all); estimate first, or that energy is not "
            "billed.",
            meter=str(table.meters[row]),
        )


def _counts(table: IntervalTable, scaler: int) -> Counts:
    factor = 10 ** (table.register.scaler - scaler)
    if factor == 1:
        return table.gain
    highest = int(table.gain.max(initial=0)) * factor
    if highest >= _LIMIT:
        raise RatingError(
            f"Register {table.register.obis} has gains of up to {highest} x 10^{scaler} Wh, which "
            "leaves 64 bits; check the scalers of the registers of this usage."
        )
    scaled: Counts = table.gain.astype(np.int64) * factor
    return scaled
