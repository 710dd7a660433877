"""The steps of writing attributes, block transfer included.

Each function yields the APDUs to send and is sent the answers; `Exchange` drives it.
"""

from collections.abc import Generator, Sequence
from itertools import pairwise

from metertwin.cosem.answers import (
    BLOCK_OVERHEAD,
    check_block,
    check_count,
    expect,
    refused,
    split,
)
from metertwin.cosem.apdu.blocks import DataBlock
from metertwin.cosem.apdu.decode import Apdu
from metertwin.cosem.apdu.descriptors import SelectedAttribute
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.apdu.reader import sequence_of
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
from metertwin.cosem.data import Data, encode
from metertwin.cosem.exchange import Steps


def set_attribute(
    invoke: int, attribute: SelectedAttribute, value: Data, room_octets: int
) -> Steps[None]:
    """Write one attribute, in blocks if it does not fit `room_octets` (0: no limit).

    Raises:
        ServiceError: The meter refuses.
        CosemError: The answer is malformed or does not fit.
    """
    descriptor, selection = attribute
    whole = SetRequestNormal(invoke, descriptor, value, selection)
    head_octets = len(attribute.encode())
    encoded = encode(value)
    if not room_octets or head_octets + len(encoded) + BLOCK_OVERHEAD <= room_octets:
        answer = expect((yield whole), SetResponseNormal, invoke)
        result = answer.result
    else:
        blocks = split(encoded, room_octets, head_octets)
        first = SetRequestWithFirstDatablock(invoke, descriptor, blocks[0], selection)
        last = expect(
            (yield from _send_set(first, invoke, blocks)), SetResponseLastDatablock, invoke
        )
        check_block(last.block_number, len(blocks))
        result = last.result
    if result is not DataAccessResult.SUCCESS:
        raise refused(attribute, result)


def set_list(
    invoke: int,
    attributes: Sequence[SelectedAttribute],
    values: Sequence[Data],
    room_octets: int,
) -> Steps[tuple[DataAccessResult, ...]]:
    """Write several attributes; each has its own result.

    Raises:
        CosemError: The answer is malformed, does not fit, or has another number of results.
    """
    whole = SetRequestWithList(invoke, tuple(attributes), tuple(values))
    head_octets = sum(len(attribute.encode()) for attribute in attributes)
    encoded = sequence_of([encode(value) for value in values])
    if not room_octets or head_octets + len(encoded) + BLOCK_OVERHEAD <= room_octets:
        results = expect((yield whole), SetResponseWithList, invoke).results
    else:
        blocks = split(encoded, room_octets, head_octets)
        first = SetRequestWithListAndFirstDatablock(invoke, whole.attributes, blocks[0])
        last = expect(
            (yield from _send_set(first, invoke, blocks)), SetResponseLastDatablockWithList, invoke
        )
        check_block(last.block_number, len(blocks))
        results = last.results
    check_count(len(results), len(attributes))
    return results


def _send_set(
    first: SetRequest, invoke: int, blocks: Sequence[DataBlock]
) -> Generator[SetRequest, Apdu, Apdu]:
    request = first
    for confirmed, following in pairwise(blocks):
        answer = expect((yield request), SetResponseDatablock, invoke)
        check_block(answer.block_number, confirmed.number)
        request = SetRequestWithDatablock(invoke, following)
    return (yield request)
