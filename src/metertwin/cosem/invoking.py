"""The steps of invoking a method, block transfer in both directions included.

The function yields the APDUs to send and is sent the answers; `Exchange` drives it.
"""

from collections.abc import Generator, Sequence
from itertools import pairwise

from metertwin.cosem.answers import BLOCK_OVERHEAD, append, check_block, expect, split
from metertwin.cosem.apdu.action_request import (
    ActionRequest,
    ActionRequestNextPblock,
    ActionRequestNormal,
    ActionRequestWithFirstPblock,
    ActionRequestWithPblock,
)
from metertwin.cosem.apdu.action_response import (
    ActionOutcome,
    ActionResponseNextPblock,
    ActionResponseNormal,
    ActionResponseWithPblock,
)
from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.decode import Apdu
from metertwin.cosem.apdu.descriptors import MethodDescriptor
from metertwin.cosem.apdu.enumerations import ActionResult, DataAccessResult
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.data import Data, encode
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.exchange import Steps


def invoke_method(
    invoke: int, descriptor: MethodDescriptor, parameters: Data | None, room_octets: int
) -> Steps[Data | None]:
    """Invoke one method and return what it returns, in blocks where either side needs them.

    Raises:
        ServiceError: The meter refuses.
        CosemError: The answer is malformed or does not fit.
    """
    encoded = b"" if parameters is None else encode(parameters)
    answer: Apdu
    if not room_octets or len(encoded) + 2 * BLOCK_OVERHEAD <= room_octets:
        answer = yield ActionRequestNormal(invoke, descriptor, parameters)
    else:
        blocks = split(encoded, room_octets, BLOCK_OVERHEAD)
        answer = yield from _send_action(invoke, descriptor, blocks)
    fitting = expect(answer, (ActionResponseNormal, ActionResponseWithPblock), invoke)
    if isinstance(fitting, ActionResponseWithPblock):
        reader = Reader((yield from _collect_action(fitting)))
        outcome = ActionOutcome.read(reader)
        reader.end()
    else:
        outcome = fitting.outcome
    return _returned(descriptor, outcome)


def _send_action(
    invoke: int, descriptor: MethodDescriptor, blocks: Sequence[DataBlock]
) -> Generator[ActionRequest, Apdu, Apdu]:
    request: ActionRequest = ActionRequestWithFirstPblock(invoke, descriptor, blocks[0])
    for confirmed, following in pairwise(blocks):
        answer = expect((yield request), ActionResponseNextPblock, invoke)
        check_block(answer.block_number, confirmed.number)
        request = ActionRequestWithPblock(invoke, following)
    return (yield request)


def _collect_action(answer: ActionResponseWithPblock) -> Generator[ActionRequest, Apdu, bytes]:
    parts = bytearray()
    number = 1
    while True:
        check_block(answer.block.number, number)
        append(parts, answer.block.octets)
        if answer.block.is_last:
            return bytes(parts)
        request = ActionRequestNextPblock(answer.invoke, number)
        number += 1
        answer = expect((yield request), ActionResponseWithPblock, answer.invoke)


def _returned(descriptor: MethodDescriptor, outcome: ActionOutcome) -> Data | None:
    refusal = outcome.returned if isinstance(outcome.returned, DataAccessResult) else None
    if outcome.result is not ActionResult.SUCCESS or refusal not in {
        None,
        DataAccessResult.SUCCESS,
    }:
        reason = outcome.result if outcome.result is not ActionResult.SUCCESS else refusal
        class_id, obis, number = descriptor
        raise ServiceError(
            f"The meter refuses method {number} of {obis}, class {class_id}: {reason!r}.",
            result=reason or outcome.result,
            class_id=class_id,
            obis=str(obis),
            method=number,
        )
    return outcome.returned if isinstance(outcome.returned, Data) else None
