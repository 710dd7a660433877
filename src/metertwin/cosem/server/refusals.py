"""Turns what went wrong in a meter's function into the result code the client is told."""

from metertwin.cosem.apdu.enumerations import (
    ActionResult,
    DataAccessResult,
    ExceptionReason,
    StateError,
)
from metertwin.cosem.apdu.refusal import ExceptionResponse
from metertwin.cosem.errors import CosemError, DecodeError, EncodeError, ServiceError

NOT_ALLOWED = ExceptionResponse(
    StateError.SERVICE_NOT_ALLOWED, ExceptionReason.OPERATION_NOT_POSSIBLE
).encode()
NOT_SUPPORTED = ExceptionResponse(
    StateError.SERVICE_NOT_ALLOWED, ExceptionReason.SERVICE_NOT_SUPPORTED
).encode()
UNKNOWN = ExceptionResponse(StateError.SERVICE_UNKNOWN, ExceptionReason.OTHER_REASON).encode()
NOT_DECIPHERED = ExceptionResponse(
    StateError.SERVICE_NOT_ALLOWED, ExceptionReason.DECIPHERING_ERROR
).encode()


def access_result(error: CosemError) -> DataAccessResult:
    """Return the result of a read or write that failed with `error`."""
    match error:
        case ServiceError(result=DataAccessResult() as result):
            return result
        case ServiceError(result=result) if result.value in _ACCESS_NUMBERS:
            return DataAccessResult(result.value)
        case DecodeError():
            return DataAccessResult.TYPE_UNMATCHED
        case EncodeError():  # the meter holds a value that does not fit its register's type
            return DataAccessResult.HARDWARE_FAULT
        case _:
            return DataAccessResult.OTHER_REASON


def action_result(error: CosemError) -> ActionResult:
    """Return the result of a method that failed with `error`."""
    if isinstance(error, ServiceError) and isinstance(error.result, ActionResult):
        return error.result
    number = access_result(error).value
    return ActionResult(number) if number in _ACTION_NUMBERS else ActionResult.OTHER_REASON


_ACCESS_NUMBERS = frozenset(result.value for result in DataAccessResult)
_ACTION_NUMBERS = frozenset(result.value for result in ActionResult)
