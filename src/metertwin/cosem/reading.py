"""The steps of reading attributes, block transfer included.

Each function yields the APDUs to send and is sent the answers; `Exchange` drives it.
"""

from collections.abc import Generator, Sequence

from metertwin.cosem.answers import append, check_block, check_count, expect, refused
from metertwin.cosem.apdu.decode import Apdu, decode_apdu
from metertwin.cosem.apdu.descriptors import SelectedAttribute
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.apdu.get_request import (
    GetRequest,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
)
from metertwin.cosem.apdu.get_response import (
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
    GetResult,
    read_get_result,
)
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.data import Data, decode_all, encode
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.exchange import Steps

_GET_RESPONSE_NORMAL = b"\xc4\x01"


def get(invoke: int, attribute: SelectedAttribute) -> Steps[Data]:
    """Read one attribute.

    Raises:
        ServiceError: The meter refuses.
        CosemError: The answer is malformed or does not fit.
    """
    request = GetRequestNormal(invoke, attribute.descriptor, attribute.selection)
    answer = expect((yield request), (GetResponseNormal, GetResponseWithDatablock), invoke)
    if isinstance(answer, GetResponseWithDatablock):
        return decode_all((yield from _collect_get(answer)))
    if isinstance(answer.result, DataAccessResult):
        raise refused(attribute, answer.result)
    return answer.result


def get_octets(invoke: int, attribute: SelectedAttribute) -> Steps[bytes]:
    """Read one attribute as its A-XDR octets; needs answers decoded by `decode_undecoded`.

    Raises:
        ServiceError: The meter refuses.
        CosemError: The answer is malformed or does not fit.
    """
    request = GetRequestNormal(invoke, attribute.descriptor, attribute.selection)
    answer = expect((yield request), (GetResponseNormal, GetResponseWithDatablock), invoke)
    if isinstance(answer, GetResponseWithDatablock):
        return (yield from _collect_get(answer))
    if isinstance(answer.result, DataAccessResult):
        raise refused(attribute, answer.result)
    return encode(answer.result)


def decode_undecoded(octets: bytes) -> Apdu:
    """Return an APDU's record, but a GET response's value as the one block of its octets.

    Raises:
        DecodeError: As `decode_apdu`; the value itself is not looked at.
    """
    if octets[:2] == _GET_RESPONSE_NORMAL and octets[3:4] == b"\x00":
        return GetResponseWithDatablock(octets[2], is_last=True, block_number=1, result=octets[4:])
    return decode_apdu(octets)


def get_list(invoke: int, attributes: Sequence[SelectedAttribute]) -> Steps[tuple[GetResult, ...]]:
    """Read several attributes; each has its own result.

    Raises:
        CosemError: The answer is malformed, does not fit, or has another number of results.
    """
    request = GetRequestWithList(invoke, tuple(attributes))
    answer = expect((yield request), (GetResponseWithList, GetResponseWithDatablock), invoke)
    if isinstance(answer, GetResponseWithDatablock):
        reader = Reader((yield from _collect_get(answer)))
        results = reader.sequence_of(read_get_result)
        reader.end()
    else:
        results = answer.results
    check_count(len(results), len(attributes))
    return results


def _collect_get(answer: GetResponseWithDatablock) -> Generator[GetRequest, Apdu, bytes]:
    parts = bytearray()
    number = 1
    while True:
        if isinstance(answer.result, DataAccessResult):
            raise ServiceError(
                f"The meter ends the transfer at block {number}: {answer.result.name}.",
                result=answer.result,
                block_number=number,
            )
        check_block(answer.block_number, number)
        append(parts, answer.result)
        if answer.is_last:
            return bytes(parts)
        request = GetRequestNext(answer.invoke, number)
        number += 1
        answer = expect((yield request), GetResponseWithDatablock, answer.invoke)
