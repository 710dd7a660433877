"""What every object of a meter is made of, shared by all meters of a type.

A definition holds no meter's data. An attribute is either a constant, encoded once, or a function
of the meter's state, whatever the state is: a record, a row number in columns of 10,000 meters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import Selection
from metertwin.cosem.classes.interface import InterfaceClass
from metertwin.cosem.data import Data, encode, octets

S = TypeVar("S")

Answer: TypeAlias = Data | bytes
"""A value, or its A-XDR octets when the meter has them ready."""
Read: TypeAlias = Callable[[S], Answer]
Value: TypeAlias = Answer | Callable[[S], Answer]
Select: TypeAlias = Callable[[S, Selection], Answer]
Write: TypeAlias = Callable[[S, Data], None]
"""Takes a value; raises ServiceError with a DataAccessResult to refuse it."""
Invoke: TypeAlias = Callable[[S, Data], Data | None]
"""Runs a method with its parameter (NULL if absent); raises ServiceError with an ActionResult."""

# Any: an empty mapping holds for every state.
_NONE: Mapping[int, Any] = MappingProxyType({})


class Role(IntEnum):
    """What a client may do; each role may also do what the ones below it may."""

    PUBLIC = 0
    READER = 1
    MANAGER = 2
    NOBODY = 3


@dataclass(frozen=True, slots=True)
class Attribute(Generic[S]):
    """One attribute of an object.

    Args:
        value: Octets that never change, or a function of the meter's state.
        read_by: Least role that may read.
        write: Takes a new value; None for an attribute that cannot be set.
        select: Reads a part of the value; None where selective access means nothing.
    """

    value: bytes | Callable[[S], Answer]
    read_by: Role
    write: Write[S] | None = None
    select: Select[S] | None = None


class CosemObject(Generic[S]):
    """One object: an interface class under a logical name.

    Args:
        obis: The logical name.
        values: The attributes from number 2 on, by number.
        methods: By number; a None is left out.
        writes: What setting an attribute does, by number.
        selects: What selective access reads, by number.
        read_by: Least role that may read the attributes; the logical name's as well.
        write_by: Least role that may set attributes and invoke methods.

    Raises:
        InvalidInputError: The class has no attribute or method of a given number.
    """

    interface: ClassVar[InterfaceClass]

    __slots__ = ("attributes", "methods", "obis", "read_by", "write_by")

    def __init__(
        self,
        obis: Obis,
        values: Mapping[int, Value[S]],
        *,
        methods: Mapping[int, Invoke[S] | None] = _NONE,
        writes: Mapping[int, Write[S]] = _NONE,
        selects: Mapping[int, Select[S]] = _NONE,
        read_by: Role = Role.READER,
        write_by: Role = Role.MANAGER,
    ) -> None:
        self.obis = obis
        self.read_by = read_by
        self.write_by = write_by
        named: dict[int, Value[S]] = {1: octets(obis.to_bytes()), **values}
        self.attributes: dict[int, Attribute[S]] = {
            number: Attribute(_constant(value), read_by, writes.get(number), selects.get(number))
            for number, value in named.items()
        }
        self.methods: dict[int, Invoke[S]] = {
            number: invoke for number, invoke in methods.items() if invoke is not None
        }
        self._check_numbers(writes)

    def _check_numbers(self, writes: Mapping[int, Write[S]]) -> None:
        attribute_count = len(self.interface.attributes)
        method_count = len(self.interface.methods)
        unknown = [n for n in self.attributes if not 1 <= n <= attribute_count]
        unknown += [n for n in writes if n not in self.attributes]
        unknown += [n for n in self.methods if not 1 <= n <= method_count]
        if unknown:
            raise InvalidInputError(
                f"{self.interface.name} {self.obis} has no attribute or method {unknown}; "
                f"it has {attribute_count} attributes and {method_count} methods.",
                numbers=unknown,
            )


def _constant(value: Value[S]) -> bytes | Callable[[S], Answer]:
    return encode(value) if isinstance(value, Data) else value
