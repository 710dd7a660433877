"""The DLMS/COSEM backend of `MeterLink`."""

import time
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from metertwin.core.clock import to_us
from metertwin.core.command import Arguments, CommandKind
from metertwin.core.errors import NotFoundError
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality, Register
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, SelectedAttribute
from metertwin.cosem.apdu.get_response import GetResult
from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.data import Data, octets
from metertwin.cosem.datetime import decode_datetime
from metertwin.cosem.errors import CosemError
from metertwin.meters.calendar import read_calendar
from metertwin.meters.commands import Wish, execute, is_so
from metertwin.meters.entry import MeterEntry
from metertwin.meters.errors import AnswerError, LinkBrokenError
from metertwin.meters.layout import (
    fits_int64,
    learn_layout,
    quality_of_clock,
    read_entries,
    read_rows,
)
from metertwin.meters.model import (
    CLOCK_TIME,
    DATA,
    DISCONNECT_CONTROL,
    LIMITER,
    REGISTER,
    MeterModel,
    ModelCache,
    ProfileLayout,
    PushLayout,
)
from metertwin.meters.port import (
    Effect,
    LoggedEvent,
    MeterCalendar,
    MeterIdentity,
    ProfileRows,
    ProfileShape,
    Pushed,
    Snapshot,
)
from metertwin.meters.push import learn_push, notification_of
from metertwin.meters.session import DlmsSession

SERIAL_NUMBER = Obis(0, 0, 96, 1, 0)
DEVICE_NAME = Obis(0, 0, 42, 0, 0)
FIRMWARE = Obis(1, 0, 0, 2, 0)
_MANUFACTURER_OCTETS = 3
_DATE_TIME_OCTETS = 12
_NO_PROFILE = ProfileShape((), 0)
_IDENTITY = tuple(
    SelectedAttribute(AttributeDescriptor(DATA, obis, 2))
    for obis in (SERIAL_NUMBER, DEVICE_NAME, FIRMWARE)
)


class UnknownRegisterError(NotFoundError):
    """The meter has no register of that code."""

    code = "not_found.register"


class DlmsLink:
    """One DLMS meter; see `MeterLink`.

    Args:
        entry: The meter.
        wanted: What `read_moment` reads; what the meter lacks is left out.
        models: Static attributes, shared by all links.
        answer_timeout_s: Longest wait for one answer, in s.
    """

    __slots__ = ("_entry", "_model", "_models", "_session", "_wanted", "_zone")

    def __init__(
        self,
        entry: MeterEntry,
        wanted: tuple[Obis, ...],
        models: ModelCache,
        answer_timeout_s: float,
    ) -> None:
        self._entry = entry
        self._wanted = wanted
        self._models = models
        self._zone = ZoneInfo(entry.zone)
        self._session = DlmsSession(entry, answer_timeout_s)
        self._model: MeterModel | None = None

    @property
    def is_open(self) -> bool:
        """Whether the association stands, as far as this end knows."""
        return self._session.is_open

    async def open(self) -> MeterIdentity:
        """Connect and associate, and say which device answered."""
        await self._session.open()
        probes = [_probe(obis) for obis in self._wanted]
        results = await self._session.get_list([*_IDENTITY, *probes])
        serial, name, firmware = [_text(result) for result in results[: len(_IDENTITY)]]
        # Without a firmware version nothing says that two meters are alike. With one, a meter for
        # one phase and one for three still share it, so what they have is part of the name.
        kind = f"{name[:_MANUFACTURER_OCTETS]} {firmware}" if firmware else self._entry.id
        present = "".join("01"[isinstance(result, Data)] for result in results[len(_IDENTITY) :])
        model_name = f"{kind} with {present} for client {self._entry.client_sap}"
        self._model = await self._models.model(model_name, self._session, self._wanted)
        return MeterIdentity(serial or name, model_name)

    async def read_moment(self) -> Snapshot:
        """Read all wanted registers with the meter's clock, in one exchange."""
        model = self._opened()
        return await self._snapshot(model.moment, model.registers, has_clock=model.has_clock)

    async def read_register(self, obis: Obis) -> Snapshot:
        """Read one register.

        Raises:
            UnknownRegisterError: The meter has none of that code.
        """
        model = self._opened()
        measurands = await model.measurands_of(self._session, obis)
        if not measurands:
            raise UnknownRegisterError(
                f"Meter {self._entry.id} has no object {obis}, or client {self._entry.client_sap} "
                "may not see it.",
                meter=self._entry.id,
                obis=str(obis),
            )
        clock = (SelectedAttribute(CLOCK_TIME),) if model.has_clock else ()
        attributes = (*(item.attribute for item in measurands), *clock)
        registers = tuple(item.register for item in measurands)
        return await self._snapshot(attributes, registers, has_clock=model.has_clock)

    async def profile_shape(self, profile: Obis) -> ProfileShape:
        """Return what a profile captures; nothing where the meter has no such profile."""
        if profile not in self._opened().classes:
            return _NO_PROFILE
        return (await self._layout(profile)).shape

    async def read_profile(self, profile: Obis, first_us: int, last_us: int) -> ProfileRows:
        """Read the entries captured from `first_us` to `last_us`, both included."""
        layout = await self._layout(profile)
        return await read_rows(self._session, layout, self._zone, first_us, last_us)

    async def read_log(self, log: Obis, first_us: int, last_us: int) -> Sequence[LoggedEvent]:
        """Read the entries of an event log, both ends included; none where there is no log."""
        if log not in self._opened().classes:
            return ()
        layout = await self._layout(log)
        return await read_entries(self._session, layout, self._zone, first_us, last_us)

    async def read_calendar(self) -> MeterCalendar:
        """Read the tariff calendar in force, with the special days."""
        return await read_calendar(self._session, self._opened(), self._zone)

    async def execute(self, kind: CommandKind, arguments: Arguments, now: datetime) -> Effect:
        """Bring the meter to a wanted state, unless it is there."""
        wish = Wish(kind, arguments, now, self._zone)
        return await execute(self._session, self._opened(), wish)

    async def is_so(self, kind: CommandKind, arguments: Arguments, now: datetime) -> bool:
        """Return whether the meter is in the state a command wants; nothing is written."""
        return await is_so(self._session, self._opened(), Wish(kind, arguments, now, self._zone))

    async def read_push(self, pushed: Pushed) -> Snapshot:
        """Return what a push says, reading the push setup when the model's is not known yet."""
        notification = notification_of(pushed)
        if self._model is None:
            await self.open()
        model = self._model
        assert model is not None
        if model.push is None:
            if not self.is_open:
                await self.open()
            model.push = await learn_push(self._session, model)
        return self._understood(model.push, notification)

    async def close(self) -> None:
        """Release the association and close the connection; never fails."""
        await self._session.close()

    def _opened(self) -> MeterModel:
        if self._model is None or not self._session.is_open:
            raise LinkBrokenError(
                f"No association with meter {self._entry.id} stands; open the link first.",
                meter=self._entry.id,
            )
        return self._model

    async def _layout(self, profile: Obis) -> ProfileLayout:
        model = self._opened()
        layout = model.layouts.get(profile)
        if layout is None:
            layout = model.layouts[profile] = await learn_layout(self._session, model, profile)
        return layout

    async def _snapshot(
        self,
        attributes: Sequence[SelectedAttribute],
        registers: tuple[Register, ...],
        *,
        has_clock: bool,
    ) -> Snapshot:
        asked_s = time.monotonic()
        results = await self._session.get_list(attributes)
        round_trip_s = time.monotonic() - asked_s
        captured_at_us, quality = None, 0
        if has_clock:
            captured_at_us, quality = self._clock(results[-1])
        integers = [_integer(result) for result in results[: len(registers)]]
        if None in integers:
            kept = [place for place, number in enumerate(integers) if number is not None]
            registers = tuple([registers[place] for place in kept])
        numbers = [number for number in integers if number is not None]
        return Snapshot(registers, numbers, captured_at_us, quality, round_trip_s)

    def _understood(self, layout: PushLayout, notification: DataNotification) -> Snapshot:
        elements = notification.body.value
        if not isinstance(elements, tuple) or len(elements) != layout.size:
            raise AnswerError(
                f"A push of meter {self._entry.id} does not have the {layout.size} elements of its "
                "push setup.",
                meter=self._entry.id,
            )
        captured_at_us, quality = None, 0
        if layout.clock_place is not None:
            captured_at_us, quality = self._clock(elements[layout.clock_place])
        elif len(notification.sent_at) == _DATE_TIME_OCTETS:
            captured_at_us, quality = self._clock(octets(notification.sent_at))
        known = [
            (register, number)
            for place, register in layout.registers
            if (number := _integer(elements[place])) is not None
        ]
        registers = tuple([register for register, _ in known])
        return Snapshot(registers, [number for _, number in known], captured_at_us, quality, 0.0)

    def _clock(self, result: GetResult) -> tuple[int | None, int]:
        if not isinstance(result, Data):
            return None, int(Quality.CLOCK_INVALID)
        try:
            moment, status = decode_datetime(result.octets(), self._zone)
        except CosemError:
            return None, int(Quality.CLOCK_INVALID)
        return to_us(moment), quality_of_clock(status)


def _probe(obis: Obis) -> SelectedAttribute:
    """Return the logical name of an object, under the class such a code usually has."""
    class_id = REGISTER
    if (obis.a, obis.c, obis.d) == (0, 96, 3):
        class_id = DISCONNECT_CONTROL
    elif (obis.a, obis.c) == (0, 17):
        class_id = LIMITER
    return SelectedAttribute(AttributeDescriptor(class_id, obis, 1))


def _integer(result: GetResult) -> int | None:
    """Return a value that can be a register's integer, else None: refused, text, or too large."""
    if isinstance(result, Data) and isinstance(result.value, int) and fits_int64(result.value):
        return int(result.value)  # a breaker's boolean becomes 0 or 1
    return None


def _text(result: GetResult) -> str:
    if not isinstance(result, Data):
        return ""
    if isinstance(result.value, bytes):
        return result.value.decode("latin-1").strip("\0 ")
    return str(result.value) if isinstance(result.value, str | int) else ""
