"""Registers of a simulated meter: energies, powers, voltages, currents, frequency."""

from collections.abc import Callable

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.classes.definition import CosemObject
from metertwin.cosem.classes.registers import Register
from metertwin.cosem.data import Data, uint16, uint32
from metertwin.simulation.columns import Energy
from metertwin.simulation.meter import Meter

_ENERGIES = (
    ("1-0:1.8.0", Energy.IMPORT, Unit.WATT_HOUR),
    ("1-0:1.8.1", Energy.IMPORT_TARIFF_1, Unit.WATT_HOUR),
    ("1-0:1.8.2", Energy.IMPORT_TARIFF_2, Unit.WATT_HOUR),
    ("1-0:1.8.3", Energy.IMPORT_TARIFF_3, Unit.WATT_HOUR),
    ("1-0:1.8.4", Energy.IMPORT_TARIFF_4, Unit.WATT_HOUR),
    ("1-0:2.8.0", Energy.EXPORT, Unit.WATT_HOUR),
    ("1-0:2.8.1", Energy.EXPORT_TARIFF_1, Unit.WATT_HOUR),
    ("1-0:2.8.2", Energy.EXPORT_TARIFF_2, Unit.WATT_HOUR),
    ("1-0:2.8.3", Energy.EXPORT_TARIFF_3, Unit.WATT_HOUR),
    ("1-0:2.8.4", Energy.EXPORT_TARIFF_4, Unit.WATT_HOUR),
    ("1-0:3.8.0", Energy.REACTIVE_IMPORT, Unit.VAR_HOUR),
    ("1-0:4.8.0", Energy.REACTIVE_EXPORT, Unit.VAR_HOUR),
)
_VOLTAGES = ("1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0")
_CURRENTS = ("1-0:31.7.0", "1-0:51.7.0", "1-0:71.7.0")
_TENTHS, _HUNDREDTHS = -1, -2


def energy_objects(phase_count: int) -> list[CosemObject[Meter]]:
    """Return the registers of a meter on one or three phases."""
    objects: list[CosemObject[Meter]] = [
        _register(code, _energy(counter), 0, unit) for code, counter, unit in _ENERGIES
    ]
    objects += [
        _register("1-0:1.7.0", import_w, 0, Unit.WATT),
        _register("1-0:2.7.0", _export_w, 0, Unit.WATT),
        _register("1-0:3.7.0", _import_var, 0, Unit.VAR),
        _register("1-0:4.7.0", _export_var, 0, Unit.VAR),
        _register("1-0:14.7.0", _frequency, _HUNDREDTHS, Unit.HERTZ),
    ]
    for phase in range(phase_count):
        objects.append(_register(_VOLTAGES[phase], _voltage(phase), _TENTHS, Unit.VOLT))
        objects.append(_register(_CURRENTS[phase], _current(phase), _HUNDREDTHS, Unit.AMPERE))
    return objects


def _register(
    code: str, value: Callable[[Meter], Data], scaler: int, unit: Unit
) -> Register[Meter]:
    return Register(Obis.parse(code), value, scaler=scaler, unit=unit)


def _energy(counter: Energy) -> Callable[[Meter], Data]:
    return lambda meter: uint32(meter.energy_wh(counter))


def import_w(meter: Meter) -> Data:
    """Return 1.7.0, the power a meter draws, 0 while it feeds in."""
    return uint32(max(round(float(meter.world.columns.power_w[meter.row])), 0))


def _export_w(meter: Meter) -> Data:
    return uint32(max(round(-float(meter.world.columns.power_w[meter.row])), 0))


def _import_var(meter: Meter) -> Data:
    return uint32(max(round(float(meter.world.columns.reactive_var[meter.row])), 0))


def _export_var(meter: Meter) -> Data:
    return uint32(max(round(-float(meter.world.columns.reactive_var[meter.row])), 0))


def _frequency(meter: Meter) -> Data:
    return uint16(round(100 * meter.world.frequency_hz))


def _voltage(phase: int) -> Callable[[Meter], Data]:
    return lambda meter: uint16(round(10 * float(meter.world.columns.voltages_v[meter.row, phase])))


def _current(phase: int) -> Callable[[Meter], Data]:
    return lambda meter: uint16(
        min(round(100 * float(meter.world.columns.currents_a[meter.row, phase])), 0xFFFF)
    )
