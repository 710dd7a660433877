"""Judging answers: are they of the right kind, to this question, and the block that is due?"""

from itertools import pairwise
from typing import TypeVar, overload

from metertwin.cosem.apdu.blocks import INVOKE_ID_MASK, DataBlock
from metertwin.cosem.apdu.decode import Apdu
from metertwin.cosem.apdu.descriptors import SelectedAttribute
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.apdu.refusal import ConfirmedServiceError, ExceptionResponse
from metertwin.cosem.errors import ExceptionAnswerError, ProtocolError, ServiceError

A = TypeVar("A", bound=Apdu)
B = TypeVar("B", bound=Apdu)

# A meter may not make its reader's memory grow without end; a year of minutes in ten columns is
# below 30 MB.
MAX_TRANSFER_OCTETS = 32 * 1024 * 1024
# What a block's own fields take: header, block number, flags and length field.
BLOCK_OVERHEAD = 16


@overload
def expect(answer: Apdu, kinds: type[A], invoke: int | None = None) -> A: ...


@overload
def expect(answer: Apdu, kinds: tuple[type[A], type[B]], invoke: int | None = None) -> A | B: ...


def expect(
    answer: Apdu, kinds: type[A] | tuple[type[A], type[B]], invoke: int | None = None
) -> A | B:
    """Return the answer if it is of a fitting kind and carries the question's invoke id.

    Raises:
        ExceptionAnswerError: The meter refuses the APDU as a whole.
        ProtocolError: The answer is of another kind or to another question.
    """
    if isinstance(answer, kinds):
        answered = None if invoke is None else getattr(answer, "invoke", None)
        if answered is None or invoke is None or not (answered ^ invoke) & INVOKE_ID_MASK:
            return answer
        raise ProtocolError(
            f"The answer carries invoke id {answered & INVOKE_ID_MASK}, the question "
            f"{invoke & INVOKE_ID_MASK}.",
            answered=answered,
            invoke=invoke,
        )
    if isinstance(answer, ExceptionResponse):
        raise ExceptionAnswerError(
            f"The meter answers with an exception: {answer.state_error.name}, "
            f"{answer.reason.name}.",
            state_error=answer.state_error.name,
            reason=answer.reason.name,
            invocation_counter=answer.invocation_counter,
        )
    if isinstance(answer, ConfirmedServiceError):
        raise ExceptionAnswerError(
            f"The meter answers with a service error: {answer.service.name}, "
            f"{answer.group.name} {answer.value}.",
            service=answer.service.name,
            group=answer.group.name,
            value=answer.value,
        )
    raise ProtocolError(f"{type(answer).__name__} is no answer to this question.")


def split(encoded: bytes, room_octets: int, head_octets: int) -> list[DataBlock]:
    """Cut encoded octets into blocks that fit APDUs of `room_octets`.

    Args:
        encoded: The whole value.
        room_octets: The longest APDU, above 0.
        head_octets: What the first APDU needs besides its block.

    Raises:
        ProtocolError: Not even the head fits.
    """
    size = room_octets - BLOCK_OVERHEAD
    first_size = size - head_octets
    if first_size <= 0:
        raise ProtocolError(
            f"The other side takes APDUs of {room_octets} octets; the request's head alone needs "
            f"{head_octets + BLOCK_OVERHEAD}."
        )
    cuts = [0, *range(first_size, len(encoded), size), len(encoded)]
    return [
        DataBlock(end == len(encoded), number, encoded[start:end])
        for number, (start, end) in enumerate(pairwise(cuts), start=1)
    ]


def append(parts: bytearray, octets: bytes) -> None:
    """Gather a block's octets.

    Raises:
        ProtocolError: The transfer grows beyond `MAX_TRANSFER_OCTETS`.
    """
    if len(parts) + len(octets) > MAX_TRANSFER_OCTETS:
        raise ProtocolError(f"The transfer is longer than {MAX_TRANSFER_OCTETS} octets.")
    parts += octets


def check_block(number: int, expected: int) -> None:
    """Demand the block that is due.

    Raises:
        ProtocolError: Another number came.
    """
    if number != expected:
        raise ProtocolError(
            f"Block {number} came where {expected} is due.", number=number, expected=expected
        )


def check_count(count: int, expected: int) -> None:
    """Demand one result per attribute.

    Raises:
        ProtocolError: There are more or fewer.
    """
    if count != expected:
        raise ProtocolError(f"{count} results came for {expected} attributes.")


def refused(attribute: SelectedAttribute, result: DataAccessResult) -> ServiceError:
    """Return the error of an attribute the meter refuses to read or write."""
    class_id, obis, number = attribute.descriptor
    return ServiceError(
        f"The meter refuses attribute {number} of {obis}, class {class_id}: {result.name}.",
        result=result,
        class_id=class_id,
        obis=str(obis),
        attribute=number,
    )
