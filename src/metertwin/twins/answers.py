"""What a twin answers: from its state when that is fresh enough, else through to the meter.

A value too old for the caller and a meter that does not answer end in an error that says how old
the value is: old values are never shown as fresh ones.
"""

from typing import Protocol

from metertwin.core.clock import Clock
from metertwin.core.errors import DeadlineError, NotFoundError, UnavailableError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.twin import (
    AnswerSource,
    RegisterAnswer,
    ReportedValue,
    TwinDocument,
    UsageNow,
)
from metertwin.twins.desired import Desired, is_met, obis_of
from metertwin.twins.group import TwinGroup
from metertwin.twins.view import (
    EXPORT_ENERGY,
    EXPORT_POWER,
    IMPORT_ENERGY,
    IMPORT_POWER,
    TwinView,
)

_USAGE = (IMPORT_POWER, EXPORT_POWER, IMPORT_ENERGY, EXPORT_ENERGY)


class StaleValueError(UnavailableError):
    """The twin's value is older than the caller allows and the meter gave no newer one."""

    code = "unavailable.stale_value"


class UnknownRegisterError(NotFoundError):
    """The twin has no such register."""

    code = "not_found.register"


class MeterReader(Protocol):
    """Reads through to meters."""

    async def read_all(self, meter: MeterId, deadline_s: float) -> None:
        """Have the gateway read the meter now and wait until its readings are applied here.

        Raises:
            UnavailableError: The gateway or the meter does not answer.
            DeadlineError: Not within `deadline_s`.
        """
        ...


class Answers:
    """Answers for one group's twins.

    Args:
        view: What is said of the group's columns; by default as its owner says it.
        source: Where answers come from for which no meter was read.
    """

    def __init__(
        self,
        group: TwinGroup,
        reader: MeterReader,
        clock: Clock,
        view: TwinView | None = None,
        source: AnswerSource = AnswerSource.TWIN,
    ) -> None:
        self._group = group
        self._view = view or TwinView(group, clock)
        self._source = source
        self._reader = reader
        self._clock = clock

    @property
    def view(self) -> TwinView:
        """The group's view."""
        return self._view

    def document(self, meter: MeterId, epoch: int, desired: Desired | None) -> TwinDocument:
        """Return everything the twin says of itself."""
        row = self._group.row(meter)
        return TwinDocument(
            meter=meter,
            group=self._group.settings.id,
            status=self._view.status(row),
            epoch=epoch,
            age_s=self._view.age_s(row),
            answered_at=self._clock.now(),
            reported=self._view.reported(row),
            ledger=self._group.ledger_line(row),
            desired=dict(desired.values) if desired else {},
            desired_version=desired.version if desired else 0,
            pending=self.pending_paths(row, desired),
        )

    def pending_paths(self, row: int, desired: Desired | None) -> list[str]:
        """Return the paths whose reported value is not the desired one."""
        if desired is None:
            return []
        return [
            path
            for path, wanted in desired.values.items()
            if not is_met(path, wanted, *self._reported(row, obis_of(path)))
        ]

    async def register(
        self, meter: MeterId, obis: Obis, max_age_s: float | None, deadline_s: float
    ) -> RegisterAnswer:
        """Return the newest value of one register, not older than `max_age_s` if that is given.

        Raises:
            UnknownRegisterError: The meter does not have it.
            StaleValueError: The value is older and the meter did not give a newer one in time.
        """
        source = await self._freshen(meter, (obis,), max_age_s, deadline_s)
        reading = self._value(meter, obis)
        if reading is None:
            has = ", ".join(sorted(self._view.reported(self._group.row(meter)))) or "none yet"
            raise UnknownRegisterError(
                f"Meter {meter} has no register {obis}; it has {has}.", meter=meter, obis=str(obis)
            )
        return RegisterAnswer(meter, reading, source, self._clock.now())

    async def usage_now(
        self, meter: MeterId, max_age_s: float | None, deadline_s: float
    ) -> UsageNow:
        """Return power and energy in both directions, not older than `max_age_s` if given.

        Raises:
            StaleValueError: A value is older and the meter did not give newer ones in time.
        """
        source = await self._freshen(meter, _USAGE, max_age_s, deadline_s)
        power_import, power_export, energy_import, energy_export = (
            self._value(meter, obis) for obis in _USAGE
        )
        return UsageNow(
            meter=meter,
            answered_at=self._clock.now(),
            source=source,
            power_import=power_import,
            power_export=power_export,
            energy_import=energy_import,
            energy_export=energy_export,
        )

    async def _freshen(
        self, meter: MeterId, wanted: tuple[Obis, ...], max_age_s: float | None, deadline_s: float
    ) -> AnswerSource:
        oldest_s = self._oldest_s(meter, wanted)
        if oldest_s is not None and (max_age_s is None or oldest_s <= max_age_s):
            return self._source
        if oldest_s is None and max_age_s is None and self._view.age_s(self._group.row(meter)):
            return self._source  # it is read regularly and simply has no such register
        try:
            await self._reader.read_all(meter, deadline_s)
        except (UnavailableError, DeadlineError) as error:
            if oldest_s is None:
                raise
            raise StaleValueError(
                f"Meter {meter}'s value is {oldest_s:.0f} s old, at most {max_age_s:g} s was asked "
                f"for, and reading the meter failed: {error}",
                meter=meter,
                age_s=oldest_s,
                max_age_s=max_age_s,
            ) from error
        return AnswerSource.METER

    def _oldest_s(self, meter: MeterId, wanted: tuple[Obis, ...]) -> float | None:
        """Return the age of the oldest wanted value in s; None when none of them is there."""
        ages_s = [value.age_s for obis in wanted if (value := self._value(meter, obis)) is not None]
        return max(ages_s, default=None)

    def _value(self, meter: MeterId, obis: Obis) -> ReportedValue | None:
        cell = self._view.find(self._group.row(meter), obis)
        return None if cell is None else self._view.value(cell)

    def _reported(self, row: int, obis: Obis) -> tuple[int | None, int]:
        cell = self._view.find(row, obis)
        if cell is None:
            return None, 0
        value = self._view.value(cell)
        return value.integer, value.scaler
