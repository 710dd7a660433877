"""ESPI's codes for what a reading is and how good it is, and ours beside them.

From the enumerations AccumulationKind, CommodityKind, FlowDirectionKind, MeasurementKind,
UnitSymbolKind and QualityOfReading of espi.xsd.
"""

from enum import IntEnum

import numpy as np

from metertwin.core.batch import UInt8s
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality
from metertwin.exchange.usage_file import EXPORT, IMPORT, REACTIVE_EXPORT, REACTIVE_IMPORT

DELTA_DATA = 4
ELECTRICITY = 1
NORMAL = 12
ENERGY = 12
FORWARD = 1
REVERSE = 19
WATT_HOURS = 72
VAR_HOURS = 73

REGISTERS = {
    (WATT_HOURS, FORWARD): IMPORT,
    (WATT_HOURS, REVERSE): EXPORT,
    (VAR_HOURS, FORWARD): REACTIVE_IMPORT,
    (VAR_HOURS, REVERSE): REACTIVE_EXPORT,
}
UOM_AND_FLOW: dict[Obis, tuple[int, int]] = {
    obis: uom_and_flow for uom_and_flow, obis in REGISTERS.items()
}
UOM_SYMBOLS = {
    0: "nothing",
    5: "A",
    29: "V",
    31: "J",
    33: "Hz",
    38: "W",
    42: "m3",
    61: "VA",
    63: "var",
    71: "VAh",
    72: "Wh",
    73: "varh",
    119: "ft3",
    132: "Btu",
    134: "l",
    169: "therm",
}
UOM_CODES = {"Wh": 72, "varh": 73, "W": 38, "VA": 61}
MULTIPLIERS = (-12, -9, -6, -3, -2, -1, 0, 1, 2, 3, 6, 9, 12)
ITEM_KIND_INFORMATION = 10


class ReadingQuality(IntEnum):
    """How good a reading is, as ESPI's QualityOfReading says."""

    VALID = 0
    MANUALLY_EDITED = 7
    ESTIMATED_BY_REFERENCE_DAY = 8
    ESTIMATED_BY_INTERPOLATION = 9
    QUESTIONABLE = 10
    DERIVED = 11
    PROJECTED = 12
    MIXED = 13
    RAW = 14
    NORMALIZED_FOR_WEATHER = 15
    OTHER = 16
    VALIDATED = 17
    VERIFIED = 18


# What is estimated keeps no trace of how, so it is written as the first of ESPI's two estimates.
# A projection is calculated and not measured: what a simulation is to us.
_ORIGIN_CODES = {
    Origin.MEASURED: None,
    Origin.ESTIMATED: ReadingQuality.ESTIMATED_BY_REFERENCE_DAY,
    Origin.SUBSTITUTED: ReadingQuality.MANUALLY_EDITED,
    Origin.SIMULATED: ReadingQuality.PROJECTED,
}
_ORIGINS = {
    ReadingQuality.MANUALLY_EDITED: Origin.SUBSTITUTED,
    ReadingQuality.ESTIMATED_BY_REFERENCE_DAY: Origin.ESTIMATED,
    ReadingQuality.ESTIMATED_BY_INTERPOLATION: Origin.ESTIMATED,
    ReadingQuality.PROJECTED: Origin.SIMULATED,
}
_DOUBTFUL = frozenset(
    {
        ReadingQuality.QUESTIONABLE,
        ReadingQuality.MIXED,
        ReadingQuality.NORMALIZED_FOR_WEATHER,
        ReadingQuality.OTHER,
    }
)
# The hour that occurs twice and a value filled in from the load profile are no doubts.
DOUBTS = (
    Quality.CRITICAL_ERROR
    | Quality.CLOCK_INVALID
    | Quality.DATA_INVALID
    | Quality.SUSPECT
    | Quality.CLOCK_ADJUSTED
    | Quality.POWER_DOWN
)


def codes_of(quality: int, origin: int) -> tuple[ReadingQuality, ...]:
    """Return the codes that say what `Quality` bits and an `Origin` say; none for a good one.

    Example:
        >>> [int(code) for code in codes_of(Quality.SUSPECT, Origin.ESTIMATED)]
        [8, 10]
    """
    code = _ORIGIN_CODES[Origin(origin)]
    doubt = (ReadingQuality.QUESTIONABLE,) if quality & DOUBTS else ()
    return doubt if code is None else (code, *doubt)


def quality_and_origin(codes: tuple[ReadingQuality, ...]) -> tuple[int, int]:
    """Return the `Quality` bits and the `Origin` that codes say; the least measured origin wins.

    Example:
        >>> quality_and_origin((ReadingQuality(8), ReadingQuality(10)))
        (16, 1)
    """
    origin = max((_ORIGINS.get(code, Origin.MEASURED) for code in codes), default=Origin.MEASURED)
    is_doubtful = any(code in _DOUBTFUL for code in codes)
    return int(Quality.SUSPECT if is_doubtful else Quality.GOOD), int(origin)


def as_told(quality: UInt8s) -> UInt8s:
    """Return `Quality` bits as they are after a way through Green Button: doubtful or good."""
    return np.where(quality & int(DOUBTS), int(Quality.SUSPECT), 0).astype(np.uint8)
