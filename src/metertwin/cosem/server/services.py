"""Answers the plain services of an open association.

A GET of one attribute, most of what a meter is ever asked, takes the short way: nine octets into
the client's table, one call, a few octets in front. Everything else is decoded into records.
"""

from collections.abc import Callable

from metertwin.cosem.apdu import action_request, get_request, set_request
from metertwin.cosem.apdu.blocks import CONFIRMED
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.enumerations import Conformance
from metertwin.cosem.apdu.get_response import GetResponseNormal
from metertwin.cosem.classes.definition import Answer, S
from metertwin.cosem.data import encode
from metertwin.cosem.errors import CosemError, DecodeError
from metertwin.cosem.server.action_service import answer_action
from metertwin.cosem.server.get_service import answer_get, respond
from metertwin.cosem.server.refusals import NOT_SUPPORTED, UNKNOWN, access_result
from metertwin.cosem.server.session import Session
from metertwin.cosem.server.set_service import answer_set

_GET_NORMAL = b"\xc0\x01"
_GET_NORMAL_OCTETS = 13
_RESPONSE_STARTS = [bytes((0xC4, 0x01, invoke, 0x00)) for invoke in range(256)]


def answer(session: Session[S], apdu: bytes) -> bytes | None:
    """Return the response to a plain GET, SET or ACTION; None if it needs none.

    What cannot be decoded, or was not agreed on, is answered by an exception-response.
    """
    # tag, choice, invoke id, nine octets of descriptor, no selection
    if len(apdu) == _GET_NORMAL_OCTETS and apdu[:2] == _GET_NORMAL and not apdu[12]:
        value = session.view.reads.get(apdu[3:12])
        if value is not None and session.may_get:
            invoke = apdu[2]
            if not isinstance(value, bytes):
                try:
                    value = _called(value, session.device.state)
                except CosemError as error:
                    return GetResponseNormal(invoke, access_result(error)).encode()
            session.outgoing = session.incoming = None
            if len(value) + 4 <= session.apdu_octets_max:
                return _RESPONSE_STARTS[invoke] + value
            return respond(session, invoke, value)
    return _answer_decoded(session, apdu)


def _called(read: Callable[[S], Answer], state: S) -> bytes:
    value = read(state)
    return value if isinstance(value, bytes) else encode(value)


def _answer_decoded(session: Session[S], apdu: bytes) -> bytes | None:
    try:
        request = decode_apdu(apdu)
    except DecodeError:
        return UNKNOWN
    if isinstance(request, get_request.GetRequest):
        return answer_get(session, request) if session.may_get else NOT_SUPPORTED
    if isinstance(request, set_request.SetRequest):
        if not session.has(Conformance.SET):
            return NOT_SUPPORTED
        response = answer_set(session, request)
    elif isinstance(request, action_request.ActionRequest):
        if not session.has(Conformance.ACTION):
            return NOT_SUPPORTED
        response = answer_action(session, request)
    else:
        return UNKNOWN
    return response if request.invoke & CONFIRMED else None
