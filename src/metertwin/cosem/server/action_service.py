"""ACTION: invokes one method or a list, parameters and results whole or in blocks."""

from collections.abc import Sequence

from metertwin.cosem.apdu.action_request import (
    ActionRequest,
    ActionRequestNextPblock,
    ActionRequestNormal,
    ActionRequestWithFirstPblock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPblock,
    ActionRequestWithPblock,
)
from metertwin.cosem.apdu.action_response import (
    ActionOutcome,
    ActionResponseNextPblock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPblock,
)
from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.descriptors import MethodDescriptor
from metertwin.cosem.apdu.enumerations import ActionResult, ApduTag, Conformance
from metertwin.cosem.apdu.reader import sequence_of
from metertwin.cosem.classes.definition import S
from metertwin.cosem.data import NULL, Data
from metertwin.cosem.errors import CosemError, DecodeError
from metertwin.cosem.server.refusals import NOT_SUPPORTED, action_result
from metertwin.cosem.server.session import Session
from metertwin.cosem.server.transfer import Incoming, Outgoing


def answer_action(session: Session[S], request: ActionRequest) -> bytes:
    """Return the response to an ACTION."""
    match request:
        case ActionRequestNextPblock(invoke, number):
            return _next_block(session, invoke, number)
        case ActionRequestWithPblock(invoke, block):
            return _take_block(session, invoke, block)
    session.drop_transfers()
    match request:
        case ActionRequestNormal(invoke, descriptor, parameters):
            outcome = _invoke(session, descriptor, NULL if parameters is None else parameters)
            return _respond(session, invoke, [outcome], is_list=False)
        case ActionRequestWithList(invoke, methods, values):
            if not session.has(Conformance.MULTIPLE_REFERENCES):
                return NOT_SUPPORTED
            return _respond(session, invoke, _invoke_all(session, methods, values), is_list=True)
        case ActionRequestWithFirstPblock(invoke, descriptor, block):
            return _start(session, invoke, Incoming((descriptor,), is_list=False), block)
        case ActionRequestWithListAndFirstPblock(invoke, methods, block):
            return _start(session, invoke, Incoming(methods, is_list=True), block)


def _invoke_all(
    session: Session[S], methods: Sequence[MethodDescriptor], values: Sequence[Data]
) -> list[ActionOutcome]:
    if len(methods) != len(values):
        return [ActionOutcome(ActionResult.TYPE_UNMATCHED)] * len(methods)
    return [_invoke(session, method, value) for method, value in zip(methods, values, strict=True)]


def _invoke(session: Session[S], descriptor: MethodDescriptor, parameter: Data) -> ActionOutcome:
    key = descriptor.encode()
    method = session.view.methods.get(key)
    if method is None:
        return ActionOutcome(ActionResult(session.view.refusal(key).value))
    try:
        returned = method(session.device.state, parameter)
    except CosemError as error:
        return ActionOutcome(action_result(error))
    return ActionOutcome(ActionResult.SUCCESS, returned)


def _respond(
    session: Session[S], invoke: int, outcomes: list[ActionOutcome], *, is_list: bool
) -> bytes:
    if is_list:
        response = ActionResponseWithList(invoke, tuple(outcomes)).encode()
    else:
        response = ActionResponseNormal(invoke, outcomes[0]).encode()
    if len(response) <= session.apdu_octets_max:
        return response
    if not session.has(Conformance.BLOCK_TRANSFER_WITH_ACTION):
        return ActionResponseNormal(invoke, ActionOutcome(ActionResult.OTHER_REASON)).encode()
    encoded = [outcome.encode() for outcome in outcomes]
    octets = sequence_of(encoded) if is_list else encoded[0]
    session.outgoing = Outgoing(ApduTag.ACTION_RESPONSE, octets, session.block_octets_max)
    return _block(session, invoke, session.outgoing)


def _next_block(session: Session[S], invoke: int, number: int) -> bytes:
    outgoing = session.outgoing
    if outgoing is None or outgoing.service is not ApduTag.ACTION_RESPONSE:
        outcome = ActionOutcome(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
        return ActionResponseNormal(invoke, outcome).encode()
    if number != outgoing.number:
        session.outgoing = None
        outcome = ActionOutcome(ActionResult.LONG_ACTION_ABORTED)
        return ActionResponseNormal(invoke, outcome).encode()
    return _block(session, invoke, outgoing)


def _block(session: Session[S], invoke: int, outgoing: Outgoing) -> bytes:
    block = outgoing.next_block()
    if block.is_last:
        session.outgoing = None
    return ActionResponseWithPblock(invoke, block).encode()


def _start(session: Session[S], invoke: int, incoming: Incoming, block: DataBlock) -> bytes:
    if not session.has(Conformance.BLOCK_TRANSFER_WITH_ACTION):
        return NOT_SUPPORTED
    session.incoming = incoming
    return _take_block(session, invoke, block)


def _take_block(session: Session[S], invoke: int, block: DataBlock) -> bytes:
    incoming = session.incoming
    methods = () if incoming is None else incoming.methods
    if incoming is None or not methods:
        outcome = ActionOutcome(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
        return ActionResponseNormal(invoke, outcome).encode()
    if not incoming.take(block):
        session.incoming = None
        outcome = ActionOutcome(ActionResult.LONG_ACTION_ABORTED)
        return ActionResponseNormal(invoke, outcome).encode()
    if not block.is_last:
        return ActionResponseNextPblock(invoke, block.number).encode()
    session.incoming = None
    try:
        values = incoming.values()
    except DecodeError:
        outcomes = [ActionOutcome(ActionResult.TYPE_UNMATCHED)] * len(methods)
    else:
        outcomes = _invoke_all(session, methods, values)
    return _respond(session, invoke, outcomes, is_list=incoming.is_list)
