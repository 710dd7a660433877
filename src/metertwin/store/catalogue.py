"""Which meters, groups and registers the store knows, by number, and what of it is not written yet.

Numbers are given at once and become durable with the next transaction. A transaction takes a
`Pending`, writes it, and tells the catalogue when it is durable; if it fails, the same is pending
again.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, MeterId, group_id, meter_id
from metertwin.core.reading import Register
from metertwin.store.names import Names


@dataclass(frozen=True, slots=True)
class Pending:
    """Names to write: new ones, and meters met in another group (meter's number -> group's)."""

    groups: list[tuple[int, GroupId]]
    meters: list[tuple[int, MeterId]]
    registers: list[tuple[int, Register]]
    group_of: dict[int, int]

    @property
    def first_new_meter(self) -> int | float:
        """The lowest number among the new meters; infinite when there is none."""
        return self.meters[0][0] if self.meters else math.inf


class Catalogue:
    """Numbers of groups, meters and registers, and which group a meter belongs to."""

    def __init__(
        self,
        groups: Sequence[GroupId],
        meters: Sequence[tuple[MeterId, int]],
        registers: Sequence[Register],
    ) -> None:
        self.groups: Names[GroupId] = Names(groups)
        self.meters: Names[MeterId] = Names([meter for meter, _ in meters])
        self.registers: Names[Register] = Names(registers)
        self._group_of = np.array([group for _, group in meters], dtype=np.int64)
        self._moved: set[int] = set()
        self._lock = threading.Lock()

    def meter_ids(self, group: GroupId, meters: Sequence[MeterId]) -> Int64s:
        """Return the number of each meter; see `port.HistoryStore.meter_ids`."""
        found = self.meters.find_each(meters)
        group_number = self.groups.find(group)
        if group_number is None or None in found:
            return self._meter_ids_of_new(group, meters)
        numbers = np.array(found, dtype=np.int64)
        moved = self._group_of[numbers] != group_number
        if moved.any():
            with self._lock:
                self._group_of[numbers[moved]] = group_number
                self._moved.update(numbers[moved].tolist())
        return numbers

    def _meter_ids_of_new(self, group: GroupId, meters: Sequence[MeterId]) -> Int64s:
        group_id(group)
        for meter in meters:
            meter_id(meter)
        with self._lock:
            group_number = self.groups.number(group)
            known_count = len(self.meters)
            for meter in meters:
                self.meters.number(meter)
            added = np.full(len(self.meters) - known_count, group_number, dtype=np.int64)
            self._group_of = np.concatenate([self._group_of, added])
        return self.meter_ids(group, meters)

    def group_number(self, group: GroupId) -> int:
        """Return the number of a group, a new one if it was never met."""
        group_id(group)
        with self._lock:
            return self.groups.number(group)

    def register_ids(self, registers: Sequence[Register]) -> Int64s:
        """Return the number of each register."""
        with self._lock:
            return np.array([self.registers.number(register) for register in registers], np.int64)

    def meter_number(self, meter: MeterId) -> int:
        """Return the number of a meter that must be known.

        Raises:
            NotFoundError: Nothing of it was ever recorded.
        """
        number = self.meters.find(meter)
        if number is None:
            raise NotFoundError(
                f"Meter {meter} has no history here; {len(self.meters)} other meters have. "
                "Check the name, and that its gateway runs.",
                meter=meter,
            )
        return number

    def meters_of(self, name: MeterId | GroupId) -> list[int]:
        """Return the numbers of a group's meters, or of the one meter with this name.

        Raises:
            NotFoundError: Neither a meter nor a group has this name.
        """
        meter, _ = self.meter_or_group(name)
        return self.members(GroupId(name)) if meter is None else [meter]

    def meter_or_group(self, name: MeterId | GroupId) -> tuple[int | None, int | None]:
        """Return the number of the meter with this name, else that of the group, the other None.

        Raises:
            NotFoundError: Neither a meter nor a group has this name.
        """
        meter = self.meters.find(MeterId(name))
        if meter is not None:
            return meter, None
        group = self.groups.find(GroupId(name))
        if group is None:
            raise NotFoundError(
                f"Neither a meter nor a group named {name} has a history here.", name=name
            )
        return None, group

    def members(self, group: GroupId) -> list[int]:
        """Return the numbers of a group's meters; none of a group never met."""
        number = self.groups.find(group)
        if number is None:
            return []
        return [int(each) for each in np.flatnonzero(self._group_of == number)]

    def pending(self) -> Pending:
        """Return what is not durable yet."""
        with self._lock:
            meters = self.meters.unwritten()
            changed = self._moved.union(number for number, _ in meters)
            return Pending(
                groups=self.groups.unwritten(),
                meters=meters,
                registers=self.registers.unwritten(),
                group_of={number: int(self._group_of[number]) for number in changed},
            )

    def written(self, pending: Pending) -> None:
        """Note that `pending` became durable."""
        with self._lock:
            self._moved -= {
                number
                for number, group in pending.group_of.items()
                if int(self._group_of[number]) == group
            }
        for names, written in (
            (self.groups, pending.groups),
            (self.meters, pending.meters),
            (self.registers, pending.registers),
        ):
            if written:
                names.written_up_to(written[-1][0] + 1)

    def durable_up_to(self, group_count: int, meter_count: int, register_count: int) -> None:
        """Take from the tables' sizes how many names are durable."""
        self.groups.written_up_to(group_count)
        self.meters.written_up_to(meter_count)
        self.registers.written_up_to(register_count)
