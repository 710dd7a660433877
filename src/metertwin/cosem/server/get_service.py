"""GET: reads one attribute or a list, whole or in blocks."""

from collections.abc import Sequence

from metertwin.cosem.apdu.descriptors import SelectedAttribute, Selection
from metertwin.cosem.apdu.enumerations import ApduTag, Conformance, DataAccessResult
from metertwin.cosem.apdu.get_request import (
    GetRequest,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
)
from metertwin.cosem.apdu.get_response import GetResponseNormal, GetResponseWithDatablock
from metertwin.cosem.apdu.reader import sequence_of
from metertwin.cosem.classes.definition import Answer, S
from metertwin.cosem.classes.model import PARTNERS
from metertwin.cosem.data import encode, int8, structure, uint16
from metertwin.cosem.errors import CosemError
from metertwin.cosem.server.refusals import NOT_SUPPORTED, access_result
from metertwin.cosem.server.session import Session
from metertwin.cosem.server.transfer import OUTGOING_OCTETS_MAX, Outgoing

_NORMAL = bytes((ApduTag.GET_RESPONSE, 1))
_WITH_LIST = bytes((ApduTag.GET_RESPONSE, 3))
_VALUE = b"\x00"
_REFUSED = b"\x01"


def answer_get(session: Session[S], request: GetRequest) -> bytes:
    """Return the response to a GET."""
    match request:
        case GetRequestNext(invoke, number):
            return _next_block(session, invoke, number)
        case GetRequestNormal(invoke, descriptor, selection):
            session.drop_transfers()
            if selection is not None and not session.has(Conformance.SELECTIVE_ACCESS):
                return NOT_SUPPORTED
            try:
                value = read(session, descriptor.encode(), selection)
            except CosemError as error:
                return GetResponseNormal(invoke, access_result(error)).encode()
            if isinstance(value, DataAccessResult):
                return GetResponseNormal(invoke, value).encode()
            return respond(session, invoke, value)
        case GetRequestWithList(invoke, attributes):
            session.drop_transfers()
            if not session.has(Conformance.MULTIPLE_REFERENCES):
                return NOT_SUPPORTED
            results = sequence_of(_results(session, attributes))
            if len(results) + 3 <= session.apdu_octets_max:
                return _WITH_LIST + bytes((invoke,)) + results
            return _first_block(session, invoke, results)


def respond(session: Session[S], invoke: int, value: bytes) -> bytes:
    """Return the response that carries an encoded value, or its first block."""
    if len(value) + 4 <= session.apdu_octets_max:
        return _NORMAL + bytes((invoke,)) + _VALUE + value
    return _first_block(session, invoke, value)


def read(
    session: Session[S], descriptor: bytes, selection: Selection | None = None
) -> bytes | DataAccessResult:
    """Return an attribute's encoded value, or why the client does not get it.

    Raises:
        CosemError: The meter's own function refused or failed.
    """
    view, state = session.view, session.device.state
    value: Answer
    if selection is not None:
        select = view.selects.get(descriptor)
        if select is None:
            return view.refusal(descriptor)
        value = select(state, selection)
    elif descriptor == PARTNERS:
        value = structure(int8(view.client.sap), uint16(session.device.sap))
    else:
        found = view.reads.get(descriptor)
        if found is None:
            return view.refusal(descriptor)
        value = found if isinstance(found, bytes) else found(state)
    return value if isinstance(value, bytes) else encode(value)


def _results(session: Session[S], attributes: Sequence[SelectedAttribute]) -> list[bytes]:
    results: list[bytes] = []
    total_count = 0
    for wanted in attributes:
        # A list of 6,000 load profiles fits one request; its answer must not fill the memory.
        if total_count > OUTGOING_OCTETS_MAX:
            results.append(_REFUSED + bytes((DataAccessResult.OTHER_REASON,)))
            continue
        results.append(_result(session, wanted))
        total_count += len(results[-1])
    return results


def _result(session: Session[S], wanted: SelectedAttribute) -> bytes:
    if wanted.selection is not None and not session.has(Conformance.SELECTIVE_ACCESS):
        return _REFUSED + bytes((DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,))
    try:
        value = read(session, wanted.descriptor.encode(), wanted.selection)
    except CosemError as error:
        value = access_result(error)
    if isinstance(value, DataAccessResult):
        return _REFUSED + bytes((value,))
    return _VALUE + value


def _first_block(session: Session[S], invoke: int, octets: bytes) -> bytes:
    if not session.has(Conformance.BLOCK_TRANSFER_WITH_GET):
        return GetResponseNormal(invoke, DataAccessResult.OTHER_REASON).encode()
    session.outgoing = Outgoing(ApduTag.GET_RESPONSE, octets, session.block_octets_max)
    return _block(session, invoke, session.outgoing)


def _next_block(session: Session[S], invoke: int, number: int) -> bytes:
    outgoing = session.outgoing
    if outgoing is None or outgoing.service is not ApduTag.GET_RESPONSE:
        return _aborted(invoke, number, DataAccessResult.NO_LONG_GET_IN_PROGRESS)
    if number != outgoing.number:
        session.outgoing = None
        return _aborted(invoke, number, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
    return _block(session, invoke, outgoing)


def _block(session: Session[S], invoke: int, outgoing: Outgoing) -> bytes:
    block = outgoing.next_block()
    if block.is_last:
        session.outgoing = None
    return GetResponseWithDatablock(invoke, block.is_last, block.number, block.octets).encode()


def _aborted(invoke: int, number: int, reason: DataAccessResult) -> bytes:
    return GetResponseWithDatablock(
        invoke, is_last=True, block_number=number, result=reason
    ).encode()
