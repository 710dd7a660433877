"""What meters of one type have in common: classes, scalers, units, what their profiles capture.

These attributes never change while the firmware stays, so they are read from the first meter of a
model and shared by all: ten thousand meters of a street cost one such reading, not ten thousand.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    CaptureObject,
    SelectedAttribute,
)
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.data import Data
from metertwin.cosem.errors import CosemError
from metertwin.cosem.profile import ScalerUnit
from metertwin.meters.errors import AnswerError
from metertwin.meters.port import ProfileShape
from metertwin.meters.session import DlmsSession

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER = 1, 3, 4, 5
CLOCK, DISCONNECT_CONTROL, LIMITER = 8, 70, 71
CLOCK_TIME = AttributeDescriptor(CLOCK, Obis(0, 0, 1, 0, 0), 2)
_OBJECT_LIST = AttributeDescriptor(15, Obis(0, 0, 40, 0, 0), 2)
_SCALER_UNIT = {REGISTER: 3, EXTENDED_REGISTER: 3, DEMAND_REGISTER: 4}
_MONITORED_VALUE, THRESHOLD_ACTIVE, THRESHOLD_NORMAL = 2, 3, 4
_NO_SCALER = ScalerUnit(0, Unit.NONE)
# The breaker's control state has no OBIS code of its own. F, unused by its object, holds the
# attribute's number: 0-0:96.3.10*255 is the output state, 0-0:96.3.10*3 the control state.
CONTROL_STATE = 3


@dataclass(frozen=True, slots=True)
class Measurand:
    """One value to read, and the register it becomes."""

    attribute: SelectedAttribute
    register: Register


@dataclass(frozen=True, slots=True)
class ProfileLayout:
    """One profile of a model.

    Attributes:
        columns: All columns, as captured.
        clock: The column that says when.
        places: Which columns are registers.
        status_place: Which column is the status word; None when there is none.
        shape: The registers and the capture period.
    """

    obis: Obis
    columns: tuple[CaptureObject, ...]
    clock: CaptureObject
    places: tuple[int, ...]
    status_place: int | None
    shape: ProfileShape


@dataclass(frozen=True, slots=True)
class PushLayout:
    """What a model's pushes hold.

    Attributes:
        size: Elements of a push.
        registers: Place and register of each value.
        clock_place: Which element is the time; None when none is.
    """

    size: int
    registers: tuple[tuple[int, Register], ...]
    clock_place: int | None


@dataclass(slots=True)
class MeterModel:
    """One type of meter, as one client sees it.

    Attributes:
        classes: Interface class of every object the client may see.
        measurands: What a snapshot reads, in order; the clock follows when there is one.
        moment: The request of a snapshot.
        registers: The registers of a snapshot.
        has_clock: Whether the last attribute of `moment` is the clock.
        scalers: Scaler and unit of the registers asked for so far.
        layouts: What the profiles asked for so far capture.
        push: What its pushes hold; None until one came.
    """

    classes: dict[Obis, int]
    measurands: tuple[Measurand, ...] = ()
    moment: tuple[SelectedAttribute, ...] = ()
    registers: tuple[Register, ...] = ()
    has_clock: bool = False
    scalers: dict[Obis, ScalerUnit] = field(default_factory=dict)
    layouts: dict[Obis, ProfileLayout] = field(default_factory=dict)
    push: PushLayout | None = None

    async def measurands_of(self, session: DlmsSession, obis: Obis) -> tuple[Measurand, ...]:
        """Return what a code stands for at this meter; nothing when it has no such object."""
        class_id = self.classes.get(obis)
        if class_id is None:
            return ()
        if class_id == DISCONNECT_CONTROL:
            return (
                _measurand(class_id, obis, 2, obis, _NO_SCALER),
                _measurand(class_id, obis, 3, obis._replace(f=CONTROL_STATE), _NO_SCALER),
            )
        scaler = await self.scaler_of(session, obis)
        attribute = THRESHOLD_ACTIVE if class_id == LIMITER else 2
        return (_measurand(class_id, obis, attribute, obis, scaler),)

    async def scaler_of(self, session: DlmsSession, obis: Obis) -> ScalerUnit:
        """Return how a register's integer is to be read; a plain number for other objects."""
        known = self.scalers.get(obis)
        if known is None:
            known = self.scalers[obis] = await self._read_scaler(session, obis)
        return known

    async def learn_scalers(self, session: DlmsSession, codes: Sequence[Obis]) -> None:
        """Read the scalers of several registers in one exchange."""
        unknown = [
            AttributeDescriptor(class_id, obis, _SCALER_UNIT[class_id])
            for obis in dict.fromkeys(codes)
            if (class_id := self.classes.get(obis)) in _SCALER_UNIT and obis not in self.scalers
        ]
        if not unknown:
            return
        results = await session.get_list([SelectedAttribute(item) for item in unknown])
        for descriptor, result in zip(unknown, results, strict=True):
            if not isinstance(result, DataAccessResult):
                self.scalers[descriptor.obis] = _scaler(descriptor.obis, result)

    async def _read_scaler(self, session: DlmsSession, obis: Obis) -> ScalerUnit:
        class_id = self.classes.get(obis)
        if class_id == LIMITER:
            watched = await session.get(AttributeDescriptor(LIMITER, obis, _MONITORED_VALUE))
            try:
                watched_obis = Obis.from_bytes(watched.elements()[1].octets())
            except (CosemError, IndexError, InvalidInputError):
                return _NO_SCALER  # it watches nothing
            return await self.scaler_of(session, watched_obis)
        if class_id not in _SCALER_UNIT:
            return _NO_SCALER
        descriptor = AttributeDescriptor(class_id, obis, _SCALER_UNIT[class_id])
        return _scaler(obis, await session.get(descriptor))


async def learn_model(session: DlmsSession, wanted: Sequence[Obis]) -> MeterModel:
    """Read what a meter has and how the wanted registers are scaled.

    Raises:
        MeterLinkError: The meter fails or answers something that cannot be understood.
    """
    model = MeterModel(_classes(await session.get(_OBJECT_LIST)))
    await model.learn_scalers(session, wanted)
    for obis in wanted:
        model.measurands += await model.measurands_of(session, obis)
    model.registers = tuple(item.register for item in model.measurands)
    model.has_clock = model.classes.get(CLOCK_TIME.obis) == CLOCK
    clock = (SelectedAttribute(CLOCK_TIME),) if model.has_clock else ()
    model.moment = (*(item.attribute for item in model.measurands), *clock)
    return model


class ModelCache:
    """Models by name, each learned once, also when many of its meters are opened at once."""

    def __init__(self) -> None:
        self._models: dict[str, MeterModel] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def model(self, name: str, session: DlmsSession, wanted: Sequence[Obis]) -> MeterModel:
        """Return the model called `name`, learning it from this meter if it is unknown."""
        known = self._models.get(name)
        if known is not None:
            return known
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._models:
                self._models[name] = await learn_model(session, wanted)
            return self._models[name]


def _measurand(
    class_id: int, obis: Obis, attribute: int, shown_as: Obis, scaler: ScalerUnit
) -> Measurand:
    return Measurand(
        SelectedAttribute(AttributeDescriptor(class_id, obis, attribute)),
        Register(shown_as, scaler.unit, scaler.scaler),
    )


def _scaler(obis: Obis, data: Data) -> ScalerUnit:
    try:
        return ScalerUnit.from_data(data)
    except (CosemError, InvalidInputError) as error:
        raise AnswerError(
            f"The scaler and unit of register {obis} cannot be used: {error}", obis=str(obis)
        ) from error


def _classes(object_list: Data) -> dict[Obis, int]:
    try:
        return {
            Obis.from_bytes(item.elements()[2].octets()): item.elements()[0].integer()
            for item in object_list.elements()
        }
    except (CosemError, IndexError, InvalidInputError) as error:
        raise AnswerError(f"The meter's object list cannot be understood: {error}") from error
