"""Special days table, class 11: days that follow a day profile of their own."""

from collections.abc import Callable

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.enumerations import ActionResult
from metertwin.cosem.classes.definition import CosemObject, S
from metertwin.cosem.classes.interface import SPECIAL_DAYS_TABLE
from metertwin.cosem.data import Data, array
from metertwin.cosem.errors import DecodeError, ServiceError

SPECIAL_DAYS_NAME = Obis(0, 0, 11, 0, 0, 255)


class SpecialDaysTable(CosemObject[S]):
    """Class 11, Special days table.

    Args:
        entries: Returns the table, an array of index, date and day id.
        write: Takes a whole new table; raises ServiceError to refuse it.
        obis: The logical name.
    """

    interface = SPECIAL_DAYS_TABLE
    __slots__ = ()

    def __init__(
        self,
        entries: Callable[[S], Data],
        write: Callable[[S, Data], None],
        *,
        obis: Obis = SPECIAL_DAYS_NAME,
    ) -> None:
        def insert(state: S, entry: Data) -> None:
            others = _without(entries(state), _index_of(entry))
            write(state, array(*others, entry))

        def delete(state: S, index: Data) -> None:
            write(state, array(*_without(entries(state), index)))

        super().__init__(obis, {2: entries}, methods={1: insert, 2: delete}, writes={2: write})


def _index_of(entry: Data) -> Data:
    try:
        return entry.elements()[0]
    except (DecodeError, IndexError):
        raise ServiceError(
            "A special day is a structure of index, date and day id.",
            result=ActionResult.TYPE_UNMATCHED,
        ) from None


def _without(entries: Data, index: Data) -> tuple[Data, ...]:
    return tuple(each for each in entries.elements() if _index_of(each).value != index.value)
