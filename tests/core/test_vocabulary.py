"""Readings, commands, events, errors and twin documents as values."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from metertwin.core import errors
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.reading import IntervalReading, Origin, Quality, Register, RegisterReading
from metertwin.core.twin import LedgerLine, ReportedValue, TwinDocument, TwinStatus, obis_key
from metertwin.core.units import Unit

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
IMPORT = Register(Obis.parse("1-0:1.8.0"), Unit.WATT_HOUR, 1, 900)


def test_a_reading_derives_its_value_from_integer_and_scaler() -> None:
    reading = RegisterReading(MeterId("m1"), IMPORT, 4711, NOON, NOON)
    assert reading.value == Decimal(47110)
    assert reading.quality is Quality.GOOD
    assert reading.origin is Origin.MEASURED


def test_an_interval_ends_before_the_next_begins() -> None:
    interval = IntervalReading(MeterId("m1"), IMPORT, 3, NOON, 900, NOON)
    assert interval.value == Decimal(30)
    assert interval.interval_end == NOON + timedelta(minutes=15)


def test_quality_has_the_bits_of_a_profile_status_word() -> None:
    # Bits 0, 1, 2, 3, 5, 6, 7 of the status word; our own doubt in the free bit 4.
    bits = [
        Quality.CRITICAL_ERROR,
        Quality.CLOCK_INVALID,
        Quality.DATA_INVALID,
        Quality.DAYLIGHT_SAVING,
        Quality.SUSPECT,
        Quality.CLOCK_ADJUSTED,
        Quality.RECOVERED,
        Quality.POWER_DOWN,
    ]
    assert [int(bit) for bit in bits] == [1 << position for position in range(8)]


def test_only_accepted_is_not_final() -> None:
    assert [status for status in CommandStatus if not status.is_final] == [CommandStatus.ACCEPTED]


ERROR_CODES = {
    errors.MeterTwinError: "metertwin",
    errors.InvalidInputError: "input.invalid",
    errors.NotFoundError: "not_found",
    errors.ConflictError: "conflict",
    errors.DeadlineError: "deadline",
    errors.UnavailableError: "unavailable",
    errors.RefusedError: "refused",
}


@pytest.mark.parametrize(("kind", "code"), ERROR_CODES.items())
def test_an_error_has_a_stable_code_a_sentence_and_its_facts(
    kind: type[errors.MeterTwinError], code: str
) -> None:
    error = kind("Meter m1 is not here.", meter="m1")
    assert error.code == code
    assert str(error) == "Meter m1 is not here."
    assert error.facts == {"meter": "m1"}
    assert isinstance(error, errors.MeterTwinError)


def test_every_error_code_of_the_root_module_is_listed_here_once() -> None:
    defined = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.MeterTwinError)
    }
    assert defined == set(ERROR_CODES)
    assert len(set(ERROR_CODES.values())) == len(ERROR_CODES)


def twin_document() -> TwinDocument:
    value = ReportedValue(
        obis="1-0:1.8.0*255",
        value=Decimal("47110.0"),
        unit="Wh",
        integer=471100,
        scaler=-1,
        period_s=0,
        captured_at=NOON,
        received_at=NOON + timedelta(milliseconds=250),
        age_s=1.5,
        quality=0,
        origin="measured",
    )
    return TwinDocument(
        meter=MeterId("m1"),
        group=GroupId("g1"),
        status=TwinStatus.IN_STEP,
        epoch=3,
        age_s=1.5,
        answered_at=NOON + timedelta(seconds=1.5),
        reported={value.obis: value},
        ledger=LedgerLine(MeterId("m1"), received=9, taken=8, duplicate=2, missing=1),
        desired={"limit_w": 3000, "disconnect_control": "connected"},
        desired_version=4,
        pending=["limit_w"],
    )


def test_a_twin_document_reads_back_from_json_and_messagepack() -> None:
    document = twin_document()
    assert msgspec.json.decode(msgspec.json.encode(document), type=TwinDocument) == document
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(document), type=TwinDocument) == document


def test_a_decimal_travels_as_the_digits_it_has() -> None:
    plain = msgspec.json.decode(msgspec.json.encode(twin_document()))
    reported = plain["reported"]["1-0:1.8.0*255"]
    assert reported["value"] == "47110.0"
    assert reported["captured_at"] == "2026-06-01T12:00:00Z"
    assert plain["status"] == "in_step"
    assert plain["ledger"] == {
        "meter": "m1",
        "received": 9,
        "taken": 8,
        "duplicate": 2,
        "missing": 1,
    }


def test_commands_outcomes_and_events_read_back_from_messagepack() -> None:
    command = Command(
        CommandId("c1"),
        MeterId("m1"),
        GroupId("g1"),
        CommandKind.SET_LIMIT,
        "desired_state",
        NOON,
        NOON + timedelta(minutes=5),
        {"limit_w": 3000},
        epoch=12,
    )
    outcome = CommandOutcome(CommandId("c1"), MeterId("m1"), CommandStatus.EFFECTED, NOON, "done")
    event = Event(MeterId("m1"), EventSource.TWIN, -3, "register_reset", NOON, NOON, "9000 to 12")
    for value in (command, outcome, event):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value)) == value


def test_an_unknown_command_kind_is_an_error_not_a_string() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'explode'"):
        msgspec.json.decode(b'"explode"', type=CommandKind)


def test_profile_series_stand_beside_the_register_in_a_twin_document() -> None:
    assert obis_key(IMPORT.obis, 0) == "1-0:1.8.0*255"
    assert obis_key(IMPORT.obis, 900) == "1-0:1.8.0*255@900s"
