"""SET: writes one attribute or a list, whole or in blocks."""

from collections.abc import Sequence

from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.descriptors import SelectedAttribute
from metertwin.cosem.apdu.enumerations import Conformance, DataAccessResult
from metertwin.cosem.apdu.set_request import (
    SetRequest,
    SetRequestNormal,
    SetRequestWithDatablock,
    SetRequestWithFirstDatablock,
    SetRequestWithList,
    SetRequestWithListAndFirstDatablock,
)
from metertwin.cosem.apdu.set_response import (
    SetResponseDatablock,
    SetResponseLastDatablock,
    SetResponseLastDatablockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from metertwin.cosem.classes.definition import S
from metertwin.cosem.data import Data
from metertwin.cosem.errors import CosemError, DecodeError
from metertwin.cosem.server.refusals import NOT_SUPPORTED, access_result
from metertwin.cosem.server.session import Session
from metertwin.cosem.server.transfer import Incoming


def answer_set(session: Session[S], request: SetRequest) -> bytes:
    """Return the response to a SET."""
    if isinstance(request, SetRequestWithDatablock):
        return _take_block(session, request.invoke, request.block)
    session.drop_transfers()
    match request:
        case SetRequestNormal(invoke, descriptor, value, selection):
            written = SelectedAttribute(descriptor, selection)
            return SetResponseNormal(invoke, _write(session, written, value)).encode()
        case SetRequestWithList(invoke, attributes, values):
            if not session.has(Conformance.MULTIPLE_REFERENCES):
                return NOT_SUPPORTED
            return SetResponseWithList(invoke, _write_all(session, attributes, values)).encode()
        case SetRequestWithFirstDatablock(invoke, descriptor, block, selection):
            targets = (SelectedAttribute(descriptor, selection),)
            return _start(session, invoke, Incoming(targets, is_list=False), block)
        case SetRequestWithListAndFirstDatablock(invoke, attributes, block):
            return _start(session, invoke, Incoming(attributes, is_list=True), block)


def _write_all(
    session: Session[S], attributes: Sequence[SelectedAttribute], values: Sequence[Data]
) -> tuple[DataAccessResult, ...]:
    if len(attributes) != len(values):
        return (DataAccessResult.TYPE_UNMATCHED,) * len(attributes)
    pairs = zip(attributes, values, strict=True)
    return tuple([_write(session, attribute, value) for attribute, value in pairs])


def _write(session: Session[S], written: SelectedAttribute, value: Data) -> DataAccessResult:
    if written.selection is not None:
        return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED  # no class here is written in part
    key = written.descriptor.encode()
    write = session.view.writes.get(key)
    if write is None:
        return session.view.refusal(key)
    try:
        write(session.device.state, value)
    except CosemError as error:
        return access_result(error)
    return DataAccessResult.SUCCESS


def _start(session: Session[S], invoke: int, incoming: Incoming, block: DataBlock) -> bytes:
    if not session.has(Conformance.BLOCK_TRANSFER_WITH_SET):
        return NOT_SUPPORTED
    session.incoming = incoming
    return _take_block(session, invoke, block)


def _take_block(session: Session[S], invoke: int, block: DataBlock) -> bytes:
    incoming = session.incoming
    attributes = () if incoming is None else incoming.attributes
    if incoming is None or not attributes:
        reason = DataAccessResult.NO_LONG_SET_IN_PROGRESS
        return SetResponseLastDatablock(invoke, reason, block.number).encode()
    if not incoming.take(block):
        session.incoming = None
        results = (DataAccessResult.DATA_BLOCK_NUMBER_INVALID,) * len(attributes)
        return _last(invoke, incoming, results, block)
    if not block.is_last:
        return SetResponseDatablock(invoke, block.number).encode()
    session.incoming = None
    try:
        values = incoming.values()
    except DecodeError:
        results = (DataAccessResult.TYPE_UNMATCHED,) * len(attributes)
    else:
        results = _write_all(session, attributes, values)
    return _last(invoke, incoming, results, block)


def _last(
    invoke: int, incoming: Incoming, results: tuple[DataAccessResult, ...], block: DataBlock
) -> bytes:
    if incoming.is_list:
        return SetResponseLastDatablockWithList(invoke, results, block.number).encode()
    return SetResponseLastDatablock(invoke, results[0], block.number).encode()
