"""Commands to a DLMS meter: look first, act only where something is to change, look again.

Looking first makes a repeated command harmless: one that was carried out before a crash is
recognised and not written again. Looking again makes "effected" a fact about the meter, not about
our having asked.
"""

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from metertwin.apps.tariff.calendar_text import CalendarOrder
from metertwin.core.command import Arguments, CommandKind
from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, MethodDescriptor
from metertwin.cosem.data import Data, Tag, int8, octets
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import CosemError
from metertwin.meters.calendar import CalendarWish, holds_calendar, write_calendar
from metertwin.meters.errors import AnswerError, EffectError
from metertwin.meters.model import (
    CLOCK_TIME,
    DISCONNECT_CONTROL,
    LIMITER,
    THRESHOLD_NORMAL,
    MeterModel,
)
from metertwin.meters.port import Effect
from metertwin.meters.session import DlmsSession

DISCONNECTOR = Obis(0, 0, 96, 3, 10)
LIMIT = Obis(0, 0, 17, 0, 0)
_OUTPUT_STATE = AttributeDescriptor(DISCONNECT_CONTROL, DISCONNECTOR, 2)
_CONTROL_STATE = AttributeDescriptor(DISCONNECT_CONTROL, DISCONNECTOR, 3)
_THRESHOLD = AttributeDescriptor(LIMITER, LIMIT, THRESHOLD_NORMAL)
_DISCONNECT, _RECONNECT = 1, 2
_READY_FOR_RECONNECTION = 2
_CLOCK_TOLERANCE = timedelta(seconds=1)


class Wish(NamedTuple):
    """What a meter is to be brought to.

    Attributes:
        kind: What is wanted.
        arguments: As the kind needs them.
        now: The time for SET_CLOCK.
        zone: The zone of the meter's clock.
    """

    kind: CommandKind
    arguments: Arguments
    now: datetime
    zone: tzinfo


async def execute(session: DlmsSession, model: MeterModel, wish: Wish) -> Effect:
    """Bring the meter to the wanted state, unless it is there.

    Raises:
        InvalidInputError: An argument is missing or cannot be expressed by the meter.
        EffectError: The meter accepted and is not in that state afterwards.
        MeterLinkError: The meter fails or refuses.
    """
    match wish.kind:
        case CommandKind.DISCONNECT:
            return await _switch(session, connect=False)
        case CommandKind.RECONNECT:
            return await _switch(session, connect=True)
        case CommandKind.SET_LIMIT:
            return await _set_limit(session, model, wish.arguments)
        case CommandKind.SET_CLOCK:
            return await _set_clock(session, wish.now, wish.zone)
        case CommandKind.WRITE_CALENDAR:
            return await write_calendar(session, model, _calendar_wish(wish))


async def is_so(session: DlmsSession, model: MeterModel, wish: Wish) -> bool:
    """Return whether the meter is in the wanted state.

    Raises:
        InvalidInputError: An argument is missing or cannot be expressed by the meter.
        MeterLinkError: The meter fails or refuses.
    """
    match wish.kind:
        case CommandKind.DISCONNECT:
            return await _is_switched(session, connect=False)
        case CommandKind.RECONNECT:
            return await _is_switched(session, connect=True)
        case CommandKind.SET_LIMIT:
            limit = await _limit_of(session, model, wish.arguments)
            return limit.before.value == limit.wanted
        case CommandKind.SET_CLOCK:
            shown = _moment(await session.get(CLOCK_TIME), wish.zone)
            return abs(shown - wish.now) <= _CLOCK_TOLERANCE
        case CommandKind.WRITE_CALENDAR:
            return await holds_calendar(session, model, _calendar_wish(wish))


def _calendar_wish(wish: Wish) -> CalendarWish:
    return CalendarWish(CalendarOrder.of(wish.arguments), wish.now, wish.zone)


async def _switch(session: DlmsSession, *, connect: bool) -> Effect:
    if await _is_switched(session, connect=connect):
        return Effect(was_so_before=True, detail=await _waiting_for_button(session))
    method = _RECONNECT if connect else _DISCONNECT
    await session.action(MethodDescriptor(DISCONNECT_CONTROL, DISCONNECTOR, method), int8(0))
    if not await _is_switched(session, connect=connect):
        raise EffectError(
            f"The meter accepted to {'reconnect' if connect else 'disconnect'} and its breaker did "
            "not follow; read its control mode and error register.",
            wanted="connected" if connect else "disconnected",
        )
    return Effect(was_so_before=False, detail=await _waiting_for_button(session))


async def _is_switched(session: DlmsSession, *, connect: bool) -> bool:
    closed = bool((await session.get(_OUTPUT_STATE)).value)
    if closed == connect:
        return True
    # In most control modes a remote reconnect only allows the customer to press the button.
    return connect and await _control_state(session) == _READY_FOR_RECONNECTION


async def _waiting_for_button(session: DlmsSession) -> str:
    if await _control_state(session) == _READY_FOR_RECONNECTION:
        return "ready for reconnection: the button at the meter must be pressed"
    return ""


async def _control_state(session: DlmsSession) -> int:
    try:
        return (await session.get(_CONTROL_STATE)).integer()
    except CosemError as error:
        raise AnswerError(f"The breaker's control state cannot be understood: {error}") from error


class _Limit(NamedTuple):
    before: Data
    wanted: int


async def _limit_of(session: DlmsSession, model: MeterModel, arguments: Arguments) -> _Limit:
    limit_w = arguments.get("limit_w")
    if not isinstance(limit_w, int) or limit_w < 0:
        raise InvalidInputError(
            f"Command set_limit needs limit_w of 0 W or more, not {limit_w}.", limit_w=limit_w
        )
    wanted = _in_scale(limit_w, (await model.scaler_of(session, LIMIT)).scaler)
    return _Limit(await session.get(_THRESHOLD), wanted)


async def _set_limit(session: DlmsSession, model: MeterModel, arguments: Arguments) -> Effect:
    before, wanted = await _limit_of(session, model, arguments)
    if before.value == wanted:
        return Effect(was_so_before=True, detail="")
    await session.set(_THRESHOLD, Data(before.tag, wanted))
    after = await session.get(_THRESHOLD)
    if after.value != wanted:
        raise EffectError(
            f"The meter accepted a limit of {wanted} and holds {after.value!r} afterwards.",
            wanted=wanted,
        )
    return Effect(was_so_before=False, detail="")


def _in_scale(limit_w: int, scaler: int) -> int:
    if scaler <= 0:
        return limit_w * int(10**-scaler)
    step_w = int(10**scaler)
    if limit_w % step_w:
        raise InvalidInputError(
            f"The meter's limit goes in steps of {step_w} W; {limit_w} W is none of them.",
            limit_w=limit_w,
            step_w=step_w,
        )
    return limit_w // step_w


async def _set_clock(session: DlmsSession, now: datetime, zone: tzinfo) -> Effect:
    before = await session.get(CLOCK_TIME)
    if abs(_moment(before, zone) - now) <= _CLOCK_TOLERANCE:
        return Effect(was_so_before=True, detail="")
    written = encode_datetime(now, zone)
    is_plain = before.tag is Tag.OCTET_STRING
    await session.set(CLOCK_TIME, octets(written) if is_plain else Data(before.tag, written))
    after = _moment(await session.get(CLOCK_TIME), zone)
    # It has gone on since; on a simulated street many seconds may pass in one exchange.
    if abs(after - now) >= abs(_moment(before, zone) - now):
        raise EffectError(
            f"The meter accepted the time {now.isoformat()} and shows {after.isoformat()}.",
            shown=after.isoformat(),
        )
    return Effect(was_so_before=False, detail="")


def _moment(data: Data, zone: tzinfo) -> datetime:
    try:
        return decode_datetime(data.octets(), zone).moment
    except CosemError as error:
        raise AnswerError(f"The meter's clock cannot be understood: {error}") from error
