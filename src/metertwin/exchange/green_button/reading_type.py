"""What the readings of a series are, as their ReadingType says."""

from dataclasses import dataclass

from metertwin.core.reading import Register
from metertwin.exchange.green_button.codes import (
    DELTA_DATA,
    ELECTRICITY,
    FORWARD,
    REGISTERS,
    UOM_SYMBOLS,
)
from metertwin.exchange.green_button.numbers import Checked
from metertwin.exchange.usage_file import UNITS, IntervalEnergies, usual_length_s

_PRIMARY_ELECTRICITY = 2
_NOT_SAID = 0


@dataclass(frozen=True, slots=True)
class ReadingType:
    """A ReadingType; codes are ESPI's, None where the file does not say.

    Attributes:
        accumulation_code: AccumulationKind; 4 is energy per interval.
        commodity_code: CommodityKind.
        flow_direction_code: FlowDirectionKind; 1 drawn, 19 fed in.
        uom_code: UnitSymbolKind.
        scaler: Power of ten.
        interval_length_s: Length of intervals that do not say their own; 0: not given.
        default_quality: QualityOfReading of readings that have none of their own.
    """

    accumulation_code: int | None
    commodity_code: int | None
    flow_direction_code: int | None
    uom_code: int | None
    scaler: int
    interval_length_s: int
    default_quality: int | None

    @classmethod
    def of(cls, checked: Checked) -> "ReadingType":
        """Return what a ReadingType says; problems go to `checked`."""
        flow = checked.integer("flowDirection")
        return cls(
            accumulation_code=checked.integer("accumulationBehaviour"),
            commodity_code=checked.integer("commodity"),
            flow_direction_code=flow or None,
            uom_code=checked.integer("uom"),
            scaler=checked.integer("powerOfTenMultiplier", limit=12) or 0,
            interval_length_s=checked.integer("intervalLength", limit=366 * 86_400) or 0,
            default_quality=checked.integer("defaultQuality"),
        )

    def unsupported(self) -> str:
        """Return why these readings are no energies per interval; empty if they are."""
        uom = self.uom_code or _NOT_SAID
        if self.commodity_code not in {None, _NOT_SAID, ELECTRICITY, _PRIMARY_ELECTRICITY}:
            return f"its commodity is {self.commodity_code}, not electricity"
        if self.accumulation_code not in {None, _NOT_SAID, DELTA_DATA}:
            return f"its values accumulate ({self.accumulation_code}); only deltas (4) are read"
        if (uom, FORWARD) not in REGISTERS:
            return f"its unit {UOM_SYMBOLS.get(uom, 'unknown')} (uom {uom}) is not supported"
        if (uom, self.flow_direction_code or FORWARD) not in REGISTERS:
            return f"its direction {self.flow_direction_code} is neither drawn (1) nor fed in (19)"
        return ""

    def register(self, intervals: IntervalEnergies) -> Register:
        """Return the register of supported readings; its period is their most frequent length."""
        obis = REGISTERS[self.uom_code or _NOT_SAID, self.flow_direction_code or FORWARD]
        period_s = usual_length_s(intervals.length_s) or self.interval_length_s
        return Register(obis, UNITS[obis], self.scaler, period_s)
