"""The captures of many meters in one question: what interval tables are made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.register_series import RegisterColumns

# One register of a meter counts 10^9 times coarser than another's only if one of them is wrong;
# beyond, integers might leave their 64 bits.
_MAX_SCALERS_APART: Final = 9

_CAPTURES: Final = """WITH asked AS (
    SELECT unnest($meter_ids::INTEGER[]) AS meter_id,
        unnest($register_ids::INTEGER[]) AS register_id,
        unnest($positions::BIGINT[]) AS position, unnest($factors::BIGINT[]) AS factor
)
SELECT position, sequence, integer * factor AS integer, captured_at_us, received_at_us, quality,
    origin
FROM readings JOIN asked USING (meter_id, register_id)
WHERE captured_at_us >= $start_us AND captured_at_us <= $end_us
ORDER BY position, captured_at_us, sequence LIMIT $limit"""


@dataclass(frozen=True, slots=True, eq=False)
class Captures:
    """One register of several meters as it was captured.

    Attributes:
        register: What was counted, with the smallest scaler any of the meters has for it.
        factors: What each meter's integers were multiplied with for that, the largest if its
            scaler changed; 1 for a meter without such a register. Shape (n_meters,).
        columns: Captures sorted by series and time; series i is the i-th meter asked for.
    """

    register: Register
    factors: Int64s
    columns: RegisterColumns


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of several meters, each under the numbers its registers have in the store.

    Attributes:
        register: With the smallest scaler of all.
        positions: Which of the meters asked for, ascending; a meter can have several registers.
        meter_ids: Its number; `register_ids` the register's; `factors` what brings its integers
            to the smallest scaler.
    """

    register: Register
    positions: list[int]
    meter_ids: list[int]
    register_ids: list[int]
    factors: list[int]

    def captured(
        self, cursor: duckdb.DuckDBPyConnection, start_us: int, end_us: int, limit: int
    ) -> RegisterColumns:
        """Return up to `limit` captures of [start, end], the end included."""
        asked = {name: getattr(self, name) for name in ("positions", "meter_ids", "register_ids")}
        span = {"factors": self.factors, "start_us": start_us, "end_us": end_us, "limit": limit}
        found = cursor.sql(_CAPTURES, params=asked | span).fetchnumpy()
        return RegisterColumns(
            found["position"],
            found["sequence"],
            found["integer"],
            found["captured_at_us"],
            found["received_at_us"],
            found["quality"],
            found["origin"],
        )

    def largest_factors(self, meter_count: int) -> Int64s:
        """Return the largest factor of each meter, 1 for one without a register."""
        factors = np.ones(meter_count, np.int64)
        np.maximum.at(factors, self.positions, self.factors)
        return factors


def quantity_of(
    obis: Obis,
    period_s: int | None,
    numbers: Sequence[int | None],
    registers_of: Callable[[int], Mapping[int, Register]],
) -> Quantity:
    """Find the registers of several meters that are one quantity on one grid.

    Args:
        obis: The quantity.
        period_s: Capture period, above 0; None: the shortest any of the meters has.
        numbers: The meters' numbers; None for a meter never met.
        registers_of: Gives a meter's registers by their numbers.

    Raises:
        NotFoundError: None of the meters has such a register.
        ConflictError: The meters' registers have several units, or scalers too far apart.
    """
    recorded = [
        (position, meter, number, register)
        for position, meter in enumerate(numbers)
        if meter is not None
        for number, register in registers_of(meter).items()
        if register.period_s
    ]
    periods = sorted({each[-1].period_s for each in recorded if each[-1].obis == obis})
    chosen_s = periods[0] if period_s is None and periods else period_s
    chosen = [each for each in recorded if (each[-1].obis, each[-1].period_s) == (obis, chosen_s)]
    if not chosen:
        known = sorted({f"{each[-1].obis} every {each[-1].period_s} s" for each in recorded})
        raise NotFoundError(
            f"No load profile of these {len(numbers)} meters has {obis}"
            f"{'' if period_s is None else f' every {period_s} s'}; there is "
            f"{', '.join(known) or 'none of any register'}.",
            obis=str(obis),
            known=known,
        )
    positions, meters, register_numbers, registers = (
        list(each) for each in zip(*chosen, strict=True)
    )
    register = _finest(registers)
    factors = [10 ** (each.scaler - register.scaler) for each in registers]
    return Quantity(register, positions, meters, register_numbers, factors)


def _finest(registers: Sequence[Register]) -> Register:
    """Return the register with the smallest scaler, after a look at whether they are one."""
    finest = min(registers, key=lambda register: register.scaler)
    units = {register.unit.symbol for register in registers}
    scalers = {register.scaler for register in registers}
    if len(units) > 1 or max(scalers) - finest.scaler > _MAX_SCALERS_APART:
        raise ConflictError(
            f"{finest.obis} of these meters is in {' and '.join(sorted(units))} with scalers "
            f"{min(scalers)} to {max(scalers)}; such counts are no one quantity. Ask for the "
            "meters one by one and check their configuration.",
            obis=str(finest.obis),
        )
    return finest
