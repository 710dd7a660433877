"""One small meter with an object of every kind the server tests need."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import numpy as np
import pytest

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.apdu.enumerations import DataAccessResult, Mechanism
from metertwin.cosem.channel import Channel
from metertwin.cosem.classes.calendar import ActivityCalendar, CalendarSlot
from metertwin.cosem.classes.client import USUAL_CLIENTS, Client
from metertwin.cosem.classes.clock import Clock
from metertwin.cosem.classes.control import ControlState, DisconnectControl
from metertwin.cosem.classes.definition import Role
from metertwin.cosem.classes.image_transfer import ImageSlot, ImageTransfer
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.classes.profile import CLOCK_COLUMN, ProfileGeneric, RowSelection
from metertwin.cosem.classes.registers import DataObject, Register
from metertwin.cosem.classes.rows import Column, date_times, encode_rows
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Data, Tag, octets, uint32
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.loopback import ask
from metertwin.cosem.security import KeyRing, SecuritySuite
from metertwin.cosem.server.association import ServerAssociation
from metertwin.cosem.server.device import Credentials, LogicalDevice

ZONE = timezone(timedelta(hours=1))
ENERGY = Obis.parse("1-0:1.8.0")
KEYS = KeyRing(bytes(range(16)), bytes(range(16, 32)))
STRONG_KEYS = KeyRing(bytes(range(32)), bytes(32), SecuritySuite.AES_256_ECDSA_P384)


def _load_profile(state: SimpleNamespace, selection: RowSelection) -> bytes:
    rows = selection.rows(state.captured_at_s)
    every = [
        Column(Tag.OCTET_STRING, date_times(state.captured_at_s[rows], -60)),
        Column(Tag.UINT8, state.profile_status[rows]),
        Column(Tag.UINT32, state.profile_wh[rows]),
    ]
    places = range(3) if selection.columns is None else selection.columns
    return encode_rows([every[place] for place in places])


def _set_note(state: SimpleNamespace, value: Data) -> None:
    if value.tag is not Tag.OCTET_STRING:
        raise ServiceError("The note is octets.", result=DataAccessResult.TYPE_UNMATCHED)
    state.note = value.octets()


def _open(state: SimpleNamespace) -> None:
    state.is_connected = False


def _close(state: SimpleNamespace) -> None:
    state.is_connected = True


@pytest.fixture(scope="session")
def model() -> ObjectModel[SimpleNamespace]:
    return ObjectModel[SimpleNamespace](
        [
            DataObject(Obis.parse("0-0:42.0.0"), octets(b"MTW0000000001"), read_by=Role.PUBLIC),
            DataObject(Obis.parse("0-0:96.1.9"), lambda state: octets(state.note), write=_set_note),
            Clock(lambda state: octets(encode_datetime(state.now, ZONE))),
            Register(ENERGY, lambda state: uint32(state.energy_wh), unit=Unit.WATT_HOUR),
            Register(
                Obis.parse("1-0:32.7.0"),
                lambda state: b"\x12" + state.voltage_dv.to_bytes(2, "big"),
                scaler=-1,
                unit=Unit.VOLT,
            ),
            ProfileGeneric(
                Obis.parse("1-0:99.1.0"),
                [
                    CLOCK_COLUMN,
                    CaptureObject(1, Obis.parse("0-0:96.10.1"), 2),
                    CaptureObject(3, ENERGY, 2),
                ],
                _load_profile,
                entries_in_use=lambda state: len(state.captured_at_s),
                profile_entries_count=1000,
                capture_period_s=900,
            ),
            DisconnectControl(
                lambda state: bool(state.is_connected),
                lambda state: ControlState(int(state.is_connected)),
                disconnect=_open,
                reconnect=_close,
            ),
            ImageTransfer(lambda state: state.image),
            ActivityCalendar(lambda state: state.calendar),
        ],
        [
            *USUAL_CLIENTS,
            Client(3, Role.MANAGER),
            Client(4, Role.MANAGER, Mechanism.HLS_GMAC),
            Client(5, Role.MANAGER, Mechanism.HLS_GMAC, is_ciphered=True),
        ],
    )


@pytest.fixture
def meter(model: ObjectModel[SimpleNamespace]) -> LogicalDevice[SimpleNamespace]:
    """A meter at 2026-03-29 00:00 UTC with a day of quarter hours behind it."""
    now = datetime(2026, 3, 29, tzinfo=UTC)
    captured_at_s = int(now.timestamp()) - 900 * np.arange(95, -1, -1)
    state = SimpleNamespace(
        now=now,
        energy_wh=1_234_567,
        voltage_dv=2304,
        note=b"",
        is_connected=True,
        image=ImageSlot(16),
        calendar=CalendarSlot(),
        captured_at_s=captured_at_s,
        profile_status=np.zeros(96, np.uint8),
        profile_wh=1_200_000 + 13 * np.arange(96),
    )
    credentials = {
        1: Credentials(keys=KEYS),
        2: Credentials(password=b"12345678"),
        4: Credentials(keys=KEYS),
        5: Credentials(keys=STRONG_KEYS),
    }
    return LogicalDevice(
        model, state, system_title=b"MTW\x00\x00\x00\x00\x07", credentials=credentials
    )


@pytest.fixture
def associate(
    meter: LogicalDevice[SimpleNamespace],
) -> Callable[..., tuple[ServerAssociation[SimpleNamespace], ClientAssociation]]:
    """Open an association with the meter, as the workshop's client 3 unless told otherwise."""
    of_test = meter

    def open_one(
        settings: ClientSettings | None = None,
        *,
        sap: int = 3,
        channel: Channel | None = None,
        meter: LogicalDevice[SimpleNamespace] = of_test,
    ) -> tuple[ServerAssociation[SimpleNamespace], ClientAssociation]:
        server = ServerAssociation(meter, sap)
        client = ClientAssociation(settings or ClientSettings(), channel)
        ask(server, client.associate())
        return server, client

    return open_one
