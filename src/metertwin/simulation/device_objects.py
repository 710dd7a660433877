"""What a simulated meter is and can do besides measuring: clock, breaker, calendar, identity."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, CaptureObject
from metertwin.cosem.apdu.enumerations import ActionResult, DataAccessResult
from metertwin.cosem.classes.calendar import ActivityCalendar
from metertwin.cosem.classes.clock import CLOCK_NAME, NEVER, Clock
from metertwin.cosem.classes.control import DisconnectControl, Limiter
from metertwin.cosem.classes.definition import CosemObject, Role
from metertwin.cosem.classes.image_transfer import ImageTransfer
from metertwin.cosem.classes.registers import DataObject
from metertwin.cosem.classes.setups import PushSetup, SecuritySetup, send_destination
from metertwin.cosem.classes.special_days import SpecialDaysTable
from metertwin.cosem.data import Data, Tag, enum, octets, structure, uint8, uint32, visible
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import ServiceError
from metertwin.simulation.breaker import MIN_OVER_S
from metertwin.simulation.columns import NO_LIMIT_W, Energy
from metertwin.simulation.config import Security, SimulationConfig
from metertwin.simulation.energy_objects import import_w
from metertwin.simulation.local_clock import summer_time_rule
from metertwin.simulation.meter import Meter
from metertwin.simulation.profile_objects import AMR_STATUS_NAME, EVENT_CODE_NAME

LOGICAL_DEVICE_NAME = Obis.parse("0-0:42.0.0")
INVOCATION_COUNTER_NAME = Obis.parse("0-0:43.1.0")
PUSHED = (
    CaptureObject(1, LOGICAL_DEVICE_NAME, 2),
    CaptureObject(8, CLOCK_NAME, 2),
    CaptureObject(3, Obis.parse("1-0:1.8.0"), 2),
    CaptureObject(3, Obis.parse("1-0:2.8.0"), 2),
    CaptureObject(3, Obis.parse("1-0:1.7.0"), 2),
)
"""What the push setup lists and a push carries."""
_AUTHENTICATED_ENCRYPTED = 3
_SHIFT_MAX_S = 900
_NO_OFFSET = timedelta()


def device_objects(config: SimulationConfig, start: datetime) -> list[CosemObject[Meter]]:
    """Return all objects but registers and profiles.

    Args:
        config: What is simulated.
        start: Start of the simulation, whose year's summer time the clock tells.
    """
    policy = _AUTHENTICATED_ENCRYPTED if config.security is Security.HIGH else 0
    return [
        DataObject(
            LOGICAL_DEVICE_NAME,
            lambda meter: octets(logical_device_name(meter)),
            read_by=Role.PUBLIC,
        ),
        DataObject(Obis.parse("0-0:96.1.0"), lambda meter: octets(meter.serial.encode())),
        DataObject(Obis.parse("1-0:0.2.0"), lambda meter: octets(meter.firmware.encode())),
        DataObject(AMR_STATUS_NAME, _status),
        DataObject(EVENT_CODE_NAME, _last_event),
        DataObject(Obis.parse("0-0:96.14.0"), lambda meter: visible(f"{_tariff(meter):04d}")),
        DataObject(
            INVOCATION_COUNTER_NAME,
            lambda meter: uint32(meter.lowest_invocation_counter),
            read_by=Role.PUBLIC,
        ),
        _clock(config.zone, start),
        DisconnectControl(
            lambda meter: meter.is_connected,
            lambda meter: meter.control_state,
            disconnect=Meter.disconnect,
            reconnect=Meter.reconnect,
        ),
        _limiter(),
        ActivityCalendar(
            lambda meter: meter.tariffs.calendars,
            activate=Meter.activate_calendar,
            schedule=Meter.schedule_calendar,
        ),
        SpecialDaysTable(lambda meter: meter.tariffs.special_days, Meter.write_special_days),
        PushSetup(PUSHED, send_destination(_destination(config))),
        SecuritySetup(enum(policy), enum(0), lambda meter: octets(system_title(meter.row))),
        ImageTransfer(lambda meter: meter.image),
    ]


def logical_device_name(meter: Meter) -> bytes:
    """Return manufacturer and number, 16 octets; it stays when the meter is replaced."""
    return f"MTW{meter.row + 1:013d}".encode()


def system_title(row: int) -> bytes:
    """Return the 8 octets a meter ciphers under."""
    return b"MTW" + (row + 1).to_bytes(5, "big")


def push_body(meter: Meter, zone: ZoneInfo) -> Data:
    """Return what a meter pushes: the values of `PUSHED`, in order."""
    return structure(
        octets(logical_device_name(meter)),
        octets(encode_datetime(meter.clock, zone)),
        uint32(meter.energy_wh(Energy.IMPORT)),
        uint32(meter.energy_wh(Energy.EXPORT)),
        import_w(meter),
    )


def _destination(config: SimulationConfig) -> str:
    return "" if config.push_to is None else f"{config.push_to[0]}:{config.push_to[1]}"


def _status(meter: Meter) -> Data:
    return uint8(int(meter.world.columns.status[meter.row]))


def _last_event(meter: Meter) -> Data:
    _, codes = meter.world.events.read(meter.row)
    return uint8(int(codes[-1]) if len(codes) else 0)


def _tariff(meter: Meter) -> int:
    return int(meter.world.columns.tariff[meter.row])


def _clock(zone: ZoneInfo, start: datetime) -> Clock[Meter]:
    rule = summer_time_rule(zone, start.astimezone(zone).year)
    begins, ends, shift_min = NEVER, NEVER, 0
    if rule is not None:
        begins, ends = (octets(encode_datetime(moment, zone)) for moment in rule[:2])
        shift_min = round(rule[2].total_seconds() / 60)
    normal = start.astimezone(zone)
    standard = (normal.utcoffset() or _NO_OFFSET) - (normal.dst() or _NO_OFFSET)
    return Clock(
        lambda meter: octets(encode_datetime(meter.clock, zone)),
        time_zone_minutes=-round(standard.total_seconds() / 60),
        status=lambda meter: uint8(encode_datetime(meter.clock, zone)[11]),
        is_daylight_saving=rule is not None,
        begins=begins,
        ends=ends,
        daylight_saving_minutes=shift_min,
        set_time=lambda meter, value: _set_clock(meter, value, zone),
        shift_time=_shift_clock,
    )


def _set_clock(meter: Meter, value: Data, zone: ZoneInfo) -> None:
    moment, _ = decode_datetime(value.octets(), zone)
    meter.set_clock(moment)


def _shift_clock(meter: Meter, value: Data) -> None:
    shift_s = value.integer()
    if abs(shift_s) > _SHIFT_MAX_S:
        raise ServiceError(
            f"shift_time takes -900 to 900 s, not {shift_s}.", result=ActionResult.OTHER_REASON
        )
    meter.set_clock(meter.clock + timedelta(seconds=shift_s))


def _limiter() -> Limiter[Meter]:
    def threshold(meter: Meter) -> Data:
        return uint32(meter.limit_w)

    def set_threshold(meter: Meter, value: Data) -> None:
        if value.tag is not Tag.UINT32:
            raise ServiceError(
                f"The limiter's threshold is a double-long-unsigned in W, not {value.tag.name}.",
                result=DataAccessResult.TYPE_UNMATCHED,
            )
        meter.set_limit(value.integer())

    return Limiter(
        AttributeDescriptor(3, Obis.parse("1-0:1.7.0"), 2),
        threshold,
        threshold,
        uint32(NO_LIMIT_W),
        min_over_s=MIN_OVER_S,
        writes={4: set_threshold},
    )
