"""The load profile and the event log of a simulated meter."""

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.classes.clock import CLOCK_NAME
from metertwin.cosem.classes.definition import CosemObject
from metertwin.cosem.classes.profile import ProfileGeneric, RowSelection
from metertwin.cosem.classes.rows import Column, date_times, encode_rows
from metertwin.cosem.data import Tag
from metertwin.simulation.event_log import CAPACITY_COUNT
from metertwin.simulation.load_profile import CAPTURE_PERIOD_S
from metertwin.simulation.local_clock import offsets_min
from metertwin.simulation.meter import Meter

LOAD_PROFILE_NAME = Obis.parse("1-0:99.1.0")
EVENT_LOG_NAME = Obis.parse("0-0:99.98.0")
AMR_STATUS_NAME = Obis.parse("0-0:96.10.1")
EVENT_CODE_NAME = Obis.parse("0-0:96.11.0")
_CLOCK = CaptureObject(8, CLOCK_NAME, 2)
_ENERGIES = [
    CaptureObject(3, Obis.parse(code), 2)
    for code in ("1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0", "1-0:4.8.0")
]
_STATUS_DAYLIGHT_SAVING = 0x08
_CLOCK_DAYLIGHT_SAVING = 0x80


def profile_objects(zone: ZoneInfo, profile_entries: int) -> list[CosemObject[Meter]]:
    """Return both profiles.

    Args:
        zone: The meters' local time.
        profile_entries: Entries a load profile holds.
    """

    def load_profile(meter: Meter, wanted: RowSelection) -> bytes:
        held = meter.world.profiles.read(meter.row)
        rows = wanted.rows(held.captured_at_s)
        clock, summer = _clock_column(zone, held.captured_at_s[rows])
        status = held.status[rows] | (summer * np.uint8(_STATUS_DAYLIGHT_SAVING))
        columns = [clock, Column(Tag.UINT8, status)]
        columns += [Column(Tag.UINT32, register[rows]) for register in held.registers]
        return _encoded(columns, wanted)

    def event_log(meter: Meter, wanted: RowSelection) -> bytes:
        logged_at_s, codes = meter.world.events.read(meter.row)
        rows = wanted.rows(logged_at_s)
        clock, _ = _clock_column(zone, logged_at_s[rows])
        return _encoded([clock, Column(Tag.UINT8, codes[rows])], wanted)

    return [
        ProfileGeneric(
            LOAD_PROFILE_NAME,
            [_CLOCK, CaptureObject(1, AMR_STATUS_NAME, 2), *_ENERGIES],
            load_profile,
            entries_in_use=lambda meter: meter.world.profiles.entry_count(meter.row),
            profile_entries_count=profile_entries,
            capture_period_s=CAPTURE_PERIOD_S,
            zone=zone,
        ),
        ProfileGeneric(
            EVENT_LOG_NAME,
            [_CLOCK, CaptureObject(1, EVENT_CODE_NAME, 2)],
            event_log,
            entries_in_use=lambda meter: meter.world.events.entry_count(meter.row),
            profile_entries_count=CAPACITY_COUNT,
            capture_period_s=0,
            zone=zone,
        ),
    ]


def _clock_column(zone: ZoneInfo, at_s: NDArray[np.int64]) -> tuple[Column, NDArray[np.bool_]]:
    minutes, summer = offsets_min(zone, at_s)
    status = summer * np.uint8(_CLOCK_DAYLIGHT_SAVING)
    octets = date_times(at_s, (-minutes).astype(np.int16), status)
    return Column(Tag.OCTET_STRING, octets), summer


def _encoded(columns: list[Column], wanted: RowSelection) -> bytes:
    places = range(len(columns)) if wanted.columns is None else wanted.columns
    return encode_rows([columns[place] for place in places])
