"""What the meters' objects say, asked over COSEM without a socket in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, MethodDescriptor
from metertwin.cosem.calendar_tables import TARIFF_SCRIPTS
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import (
    Data,
    Tag,
    array,
    enum,
    int8,
    int16,
    octets,
    structure,
    uint8,
    uint16,
    uint32,
)
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.loopback import ask
from metertwin.cosem.server.association import ServerAssociation
from metertwin.simulation.columns import Energy
from metertwin.simulation.config import Security
from metertwin.simulation.credentials import FIRST_METER_SAP
from metertwin.simulation.devices import DIRECTORY_SAP, MeterDevices
from metertwin.simulation.event_log import MeterEvent
from metertwin.simulation.households import Shares
from metertwin.simulation.world import World

MakeWorld = Callable[..., World]
BERLIN = ZoneInfo("Europe/Berlin")
YES, NO = Data(Tag.BOOLEAN, value=True), Data(Tag.BOOLEAN, value=False)


class Reader:
    """A client of one meter."""

    def __init__(self, devices: MeterDevices, sap: int) -> None:
        self._meter = ServerAssociation(devices.by_sap[sap], 16)
        self._client = ClientAssociation(ClientSettings())
        ask(self._meter, self._client.associate())

    def get(self, class_id: int, code: str, attribute: int = 2) -> Data:
        descriptor = AttributeDescriptor(class_id, Obis.parse(code), attribute)
        return ask(self._meter, self._client.get(descriptor))

    def number(self, code: str) -> int:
        return self.get(3, code).integer()

    def set(self, class_id: int, code: str, attribute: int, value: Data) -> None:
        descriptor = AttributeDescriptor(class_id, Obis.parse(code), attribute)
        ask(self._meter, self._client.set(descriptor, value))

    def act(self, class_id: int, code: str, method: int, parameter: Data = int8(0)) -> None:  # noqa: B008 - a constant
        descriptor = MethodDescriptor(class_id, Obis.parse(code), method)
        ask(self._meter, self._client.action(descriptor, parameter))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(security=Security.NONE, step_s=300, shares=Shares(pv_ratio=0.0))


@pytest.fixture
def reader(world: World) -> Reader:
    row = int(np.flatnonzero(world.street.is_three_phase)[0])
    return Reader(MeterDevices(world), FIRST_METER_SAP + row)


@pytest.fixture
def row(world: World) -> int:
    return int(np.flatnonzero(world.street.is_three_phase)[0])


def test_registers_say_what_the_columns_hold(world: World, reader: Reader, row: int) -> None:
    world.advance(world.now + timedelta(hours=8))
    counted = world.columns.energy_uwh[:, row] // 1_000_000
    for code, counter in (
        ("1-0:1.8.0", Energy.IMPORT),
        ("1-0:1.8.1", Energy.IMPORT_TARIFF_1),
        ("1-0:1.8.2", Energy.IMPORT_TARIFF_2),
        ("1-0:2.8.0", Energy.EXPORT),
        ("1-0:3.8.0", Energy.REACTIVE_IMPORT),
        ("1-0:4.8.0", Energy.REACTIVE_EXPORT),
    ):
        assert reader.number(code) == counted[counter], code
    power_w = world.columns.power_w[row]
    assert reader.number("1-0:1.7.0") - reader.number("1-0:2.7.0") == round(power_w)
    assert reader.get(3, "1-0:32.7.0", 3) == structure(int8(-1), enum(35))
    for phase, code in enumerate(("1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0")):
        assert reader.number(code) == round(10 * world.columns.voltages_v[row, phase])
    assert 4_900 < reader.number("1-0:14.7.0") < 5_100
    currents_a = world.columns.currents_a[row]
    assert [reader.number(f"1-0:{c}.7.0") for c in (31, 51, 71)] == pytest.approx(
        100 * currents_a, abs=0.51
    )


def test_current_times_voltage_is_the_apparent_power(world: World, row: int) -> None:
    world.advance(world.now + timedelta(seconds=300))
    columns = world.columns
    # Phases may work against each other, so the sum of |S| is at least |sum of S|.
    apparent_va = (columns.voltages_v * columns.currents_a).sum(axis=1)
    assert (apparent_va >= np.hypot(columns.power_w, columns.reactive_var) - 1e-6).all()
    single = ~world.street.is_three_phase
    both = np.hypot(columns.power_w, columns.reactive_var)
    assert apparent_va[single] == pytest.approx(both[single])


def test_a_meter_on_one_phase_has_no_other_registers(world: World) -> None:
    single = int(np.flatnonzero(~world.street.is_three_phase)[0])
    reader = Reader(MeterDevices(world), FIRST_METER_SAP + single)
    assert reader.number("1-0:32.7.0") == 0  # not stepped yet
    with pytest.raises(ServiceError, match="OBJECT_UNDEFINED"):
        reader.number("1-0:52.7.0")


def test_a_profile_entry_is_the_register_at_its_time(world: World, reader: Reader) -> None:
    seen: list[tuple[datetime, list[int]]] = []
    for _ in range(6):
        world.advance(world.now + timedelta(minutes=15))
        codes = ("1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0", "1-0:4.8.0")
        seen.append((world.now, [reader.number(code) for code in codes]))
    rows = reader.get(7, "1-0:99.1.0").elements()
    held = []
    for entry in rows:
        captured_at, status, *registers = entry.elements()
        assert status == uint8(0)
        moment = decode_datetime(captured_at.octets()).moment
        held.append((moment, [register.integer() for register in registers]))
    assert held == seen
    assert reader.get(7, "1-0:99.1.0", 4) == uint32(900)
    assert reader.get(7, "1-0:99.1.0", 7) == uint32(6)


def test_entries_do_not_depend_on_how_far_time_jumps(make_world: MakeWorld) -> None:
    walked, jumped = make_world(step_s=300), make_world(step_s=300)
    for _ in range(12):
        walked.advance(walked.now + timedelta(seconds=300))
    jumped.advance(jumped.now + timedelta(hours=1))
    for row in range(21):
        assert (walked.profiles.read(row).registers == jumped.profiles.read(row).registers).all()


def test_a_full_profile_forgets_its_oldest_entries(make_world: MakeWorld) -> None:
    world = make_world(security=Security.NONE, step_s=900, profile_days=1)
    reader = Reader(MeterDevices(world), FIRST_METER_SAP)
    world.advance(world.now + timedelta(hours=25))
    rows = reader.get(7, "1-0:99.1.0").elements()
    assert len(rows) == 96
    first = decode_datetime(rows[0].elements()[0].octets()).moment
    assert first == world.now - timedelta(minutes=15 * 95)


@pytest.mark.parametrize(
    ("moment", "local", "deviation_min", "summer"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "01:59:59", -60, "normal"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "03:00:00", -120, "summer"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:30:00", -120, "summer"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "02:30:00", -60, "normal"),
    ],
)
def test_the_clock_shows_local_time_and_summer_time(
    make_world: MakeWorld, moment: datetime, local: str, deviation_min: int, summer: str
) -> None:
    world = make_world(start=moment, security=Security.NONE, meter_count=1, group_size=1)
    reader = Reader(MeterDevices(world), FIRST_METER_SAP)
    raw = reader.get(8, "0-0:1.0.0").octets()
    assert f"{raw[5]:02d}:{raw[6]:02d}:{raw[7]:02d}" == local
    assert int.from_bytes(raw[9:11], "big", signed=True) == deviation_min
    assert ("summer" if raw[11] & 0x80 else "normal") == summer
    assert decode_datetime(raw).moment == moment
    assert reader.get(8, "0-0:1.0.0", 3) == int16(-60)
    assert reader.get(8, "0-0:1.0.0", 8) == YES
    begins = decode_datetime(reader.get(8, "0-0:1.0.0", 5).octets()).moment
    assert begins == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_zone_without_summer_time_says_so(make_world: MakeWorld) -> None:
    world = make_world(security=Security.NONE, zone=ZoneInfo("Asia/Kolkata"))
    reader = Reader(MeterDevices(world), FIRST_METER_SAP)
    assert reader.get(8, "0-0:1.0.0", 8) == NO
    assert reader.get(8, "0-0:1.0.0", 3) == int16(-330)


def test_a_profile_over_the_end_of_summer_time_tells_its_hours_apart(
    make_world: MakeWorld,
) -> None:
    world = make_world(
        start=datetime(2026, 10, 25, 0, tzinfo=UTC), security=Security.NONE, step_s=900
    )
    world.advance(world.now + timedelta(hours=2))
    rows = Reader(MeterDevices(world), FIRST_METER_SAP).get(7, "1-0:99.1.0").elements()
    status = [entry.elements()[1].integer() for entry in rows]
    assert status == [8, 8, 8, 0, 0, 0, 0, 0]  # bit 3 is summer time
    times = [decode_datetime(entry.elements()[0].octets()).moment for entry in rows]
    assert np.diff([moment.timestamp() for moment in times]).tolist() == [900.0] * 7
    hours = [entry.elements()[0].octets()[5] for entry in rows]
    assert hours == [2, 2, 2, 2, 2, 2, 2, 3]  # as the clock on the wall shows them


def test_a_set_clock_is_off_from_then_on(world: World, reader: Reader, row: int) -> None:
    wanted = world.now + timedelta(seconds=40)
    reader.set(8, "0-0:1.0.0", 2, octets(encode_datetime(wanted, BERLIN)))
    assert world.columns.clock_offset_s[row] == 40.0
    assert decode_datetime(reader.get(8, "0-0:1.0.0").octets()).moment == wanted
    reader.act(8, "0-0:1.0.0", 6, int16(-40))
    assert world.columns.clock_offset_s[row] == 0.0
    assert reader.get(1, "0-0:96.10.1") == uint8(0x20)
    with pytest.raises(ServiceError):
        reader.act(8, "0-0:1.0.0", 6, int16(901))


def test_the_breaker_is_commanded_and_logged(world: World, reader: Reader, row: int) -> None:
    reader.act(70, "0-0:96.3.10", 1)
    assert reader.get(70, "0-0:96.3.10") == NO
    assert reader.get(70, "0-0:96.3.10", 3) == enum(0)
    world.advance(world.now + timedelta(seconds=300))
    assert reader.number("1-0:1.7.0") == 0
    reader.act(70, "0-0:96.3.10", 2)
    assert reader.get(70, "0-0:96.3.10") == YES
    entries = reader.get(7, "0-0:99.98.0").elements()
    codes = [entry.elements()[1].integer() for entry in entries]
    assert codes == [MeterEvent.REMOTE_DISCONNECTION, MeterEvent.REMOTE_CONNECTION]
    assert reader.get(1, "0-0:96.11.0") == uint8(MeterEvent.REMOTE_CONNECTION)


def test_the_limiter_takes_a_threshold(world: World, reader: Reader, row: int) -> None:
    assert reader.get(71, "0-0:17.0.0", 3) == uint32(0xFFFF_FFFF)
    reader.set(71, "0-0:17.0.0", 4, uint32(3_000))
    assert world.columns.limit_w[row] == 3_000
    assert reader.get(71, "0-0:17.0.0", 3) == uint32(3_000)
    with pytest.raises(ServiceError, match="TYPE_UNMATCHED"):
        reader.set(71, "0-0:17.0.0", 4, uint16(3_000))


def test_an_activated_calendar_moves_the_tariff(world: World, reader: Reader, row: int) -> None:
    always_two = structure(octets(bytes(4)), octets(TARIFF_SCRIPTS.to_bytes()), uint16(2))
    reader.set(20, "0-0:13.0.0", 6, octets(b"flat"))
    reader.set(20, "0-0:13.0.0", 7, reader.get(20, "0-0:13.0.0", 3))
    reader.set(20, "0-0:13.0.0", 8, reader.get(20, "0-0:13.0.0", 4))
    reader.set(20, "0-0:13.0.0", 9, array(structure(uint8(1), array(always_two))))
    reader.act(20, "0-0:13.0.0", 1)
    world.advance(world.now + timedelta(hours=1))  # noon: tariff 1 by the calendar before
    counted = world.columns.energy_uwh[:, row]
    assert counted[Energy.IMPORT_TARIFF_1] == 0
    assert counted[Energy.IMPORT_TARIFF_2] == counted[Energy.IMPORT] > 0
    assert reader.get(1, "0-0:96.14.0").text() == "0002"
    other = (row + 1) % 20
    assert world.columns.energy_uwh[Energy.IMPORT_TARIFF_2, other] == 0


def test_a_calendar_of_five_tariffs_is_refused_and_the_one_in_force_stays(
    world: World, reader: Reader
) -> None:
    before = reader.get(20, "0-0:13.0.0", 5)
    fifth = structure(octets(bytes(4)), octets(TARIFF_SCRIPTS.to_bytes()), uint16(5))
    reader.set(20, "0-0:13.0.0", 7, reader.get(20, "0-0:13.0.0", 3))
    reader.set(20, "0-0:13.0.0", 8, reader.get(20, "0-0:13.0.0", 4))
    reader.set(20, "0-0:13.0.0", 9, array(structure(uint8(1), array(fifth))))
    with pytest.raises(ServiceError):
        reader.act(20, "0-0:13.0.0", 1)
    assert reader.get(20, "0-0:13.0.0", 5) == before
    assert len(world.calendars) == 1


def test_special_days_are_set_inserted_and_deleted(world: World, reader: Reader, row: int) -> None:
    def special(index: int, day: int) -> Data:
        on = octets(b"\xff\xff" + bytes((1, day)) + b"\xff")
        return structure(uint16(index), on, uint8(1))

    reader.set(11, "0-0:11.0.0", 2, array(special(1, 1), special(2, 6)))
    reader.act(11, "0-0:11.0.0", 1, special(2, 7))
    reader.act(11, "0-0:11.0.0", 2, uint16(1))
    assert reader.get(11, "0-0:11.0.0", 2) == array(special(2, 7))
    assert len(world.calendars[world.columns.calendar[row]].tables.special_days) == 1
    for nonsense in (uint8(1), array(uint8(1)), array(*[special(n, 1) for n in range(65)])):
        with pytest.raises(ServiceError):
            reader.set(11, "0-0:11.0.0", 2, nonsense)
    with pytest.raises(ServiceError):
        reader.act(11, "0-0:11.0.0", 1, uint8(1))
    assert reader.get(11, "0-0:11.0.0", 2) == array(special(2, 7))


def test_firmware_is_transferred_and_activated(reader: Reader) -> None:
    assert reader.get(1, "1-0:0.2.0") == octets(b"MTW-1.0.0")
    image = bytes(700)
    reader.act(18, "0-0:44.0.0", 1, structure(octets(b"MTW-1.1.0"), uint32(len(image))))
    for number in range(2):
        block = image[512 * number : 512 * (number + 1)]
        reader.act(18, "0-0:44.0.0", 2, structure(uint32(number), octets(block)))
    reader.act(18, "0-0:44.0.0", 3)
    reader.act(18, "0-0:44.0.0", 4)
    assert reader.get(1, "1-0:0.2.0") == octets(b"MTW-1.1.0")
    events = reader.get(7, "0-0:99.98.0").elements()
    assert events[-1].elements()[1] == uint8(MeterEvent.FIRMWARE_ACTIVATED)


def test_identity_and_the_list_of_objects(reader: Reader, row: int) -> None:
    assert reader.get(1, "0-0:42.0.0") == octets(f"MTW{row + 1:013d}".encode())
    assert reader.get(1, "0-0:96.1.0") == octets(f"{row + 1:08d}00".encode())
    listed = {
        (entry.elements()[0].integer(), entry.elements()[2].octets())
        for entry in reader.get(15, "0-0:40.0.0").elements()
    }
    for class_id, code in (
        (7, "1-0:99.1.0"),
        (70, "0-0:96.3.10"),
        (71, "0-0:17.0.0"),
        (20, "0-0:13.0.0"),
        (40, "0-0:25.9.0"),
        (64, "0-0:43.0.0"),
        (18, "0-0:44.0.0"),
    ):
        assert (class_id, Obis.parse(code).to_bytes()) in listed, code


def test_the_directory_lists_every_meter(world: World) -> None:
    directory = Reader(MeterDevices(world), DIRECTORY_SAP)
    listed = directory.get(17, "0-0:41.0.0")
    assert listed.tag is Tag.ARRAY
    assert [entry.elements()[0].integer() for entry in listed.elements()] == list(range(256, 277))
    assert listed.elements()[20].elements()[1] == octets(b"MTW0000000000021")


def test_a_model_is_shared_by_all_meters_of_a_type(world: World) -> None:
    devices = MeterDevices(world)
    models: set[ObjectModel[object]] = {
        devices.by_sap[FIRST_METER_SAP + number].model for number in range(21)
    }
    assert len(models) == 2
