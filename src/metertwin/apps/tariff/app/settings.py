"""What a site says of billing: tariffs, who has which, contracts, how long data are awaited."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import msgspec

from metertwin.apps.app import AppSettingsError
from metertwin.apps.tariff.app.errors import NotBilledError
from metertwin.apps.tariff.documents import parse_tariff, tariff_from_plain
from metertwin.apps.tariff.rating import Contract
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId, meter_id
from metertwin.core.obis import Obis
from metertwin.core.vee import VeeRules

Converted = TypeVar("Converted")
FINAL_AFTER_DAYS = 3
FINAL_AFTER_DAYS_MAX = 28


@dataclass(frozen=True, slots=True)
class Registers:
    """Load-profile registers that bills are made from."""

    imports: Obis
    exports: Obis
    reactive: Obis

    def all(self) -> tuple[Obis, ...]:
        """Return them in the order import, export, reactive."""
        return (self.imports, self.exports, self.reactive)


USUAL_REGISTERS = Registers(*map(Obis.parse, ("1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0")))


@dataclass(frozen=True, slots=True)
class Assignment:
    """From this billing month on, a meter has this tariff; None: since ever."""

    tariff: str
    since: date | None = None


@dataclass(frozen=True, slots=True)
class MeterTerms:
    """What is agreed for one meter.

    Attributes:
        assignments: Ascending; the first since ever.
        contract: For two-part tariffs.
        is_prepaid: Whether energy is paid before it is used.
        exports: Whether what it feeds in counts; None: if its export register tells any.
    """

    assignments: tuple[Assignment, ...]
    contract: Contract = field(default_factory=Contract)
    is_prepaid: bool = False
    exports: bool | None = None


@dataclass(frozen=True, slots=True)
class BillingSettings:
    """The app's configuration, checked.

    Attributes:
        versions: Every tariff's versions, ascending, by id.
        default: Tariff of meters that `meters` does not name; empty: they are not billed.
        unbilled: Patterns of meters that are not billed unless `meters` names them.
        final_after_days: How long after a month's end late intervals are awaited.
    """

    versions: Mapping[str, tuple[Tariff, ...]]
    default: str
    meters: Mapping[MeterId, MeterTerms]
    rules: VeeRules
    final_after_days: int
    registers: Registers
    unbilled: tuple[str, ...] = ()

    def terms(self, meter: MeterId) -> MeterTerms | None:
        """Return what is agreed for a meter; None: it is not billed."""
        if meter in self.meters:
            return self.meters[meter]
        if not self.default or any(fnmatchcase(meter, each) for each in self.unbilled):
            return None
        return MeterTerms((Assignment(self.default),))

    def tariff_on(self, meter: MeterId, day: date) -> Tariff:
        """Return the tariff in the version that a meter's billing month from `day` on has.

        Raises:
            NotBilledError: It has none, or no version is valid then.
        """
        terms = self.terms(meter)
        if terms is None:
            raise NotBilledError(
                f"Meter {meter} has no tariff: the configuration's `meters` does not name it, and "
                "there is no `default` or `unbilled` leaves it out.",
                meter=meter,
            )
        name = [a.tariff for a in terms.assignments if a.since is None or a.since <= day][-1]
        return self.version_on(name, day)

    def version_on(self, name: str, day: date) -> Tariff:
        """Return the newest version of a tariff that is valid on a day; raises NotBilledError."""
        versions = self.versions.get(name, ())
        valid = [version for version in versions if _is_valid(version, day)]
        if not valid:
            told = ", ".join(_validity(version) for version in versions) or "none"
            known = ", ".join(sorted(self.versions))
            raise NotBilledError(
                f"No version of tariff {name} is valid on {day}; it has {told}. Known tariffs are "
                f"{known}.",
                tariff=name,
            )
        return valid[-1]


def _is_valid(tariff: Tariff, day: date) -> bool:
    begun = tariff.valid_from is None or tariff.valid_from <= day
    return begun and (tariff.valid_until is None or day <= tariff.valid_until)


def _validity(tariff: Tariff) -> str:
    return (
        f"version {tariff.version} from {tariff.valid_from or 'ever'} until "
        f"{tariff.valid_until or 'further notice'}"
    )


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    since: date | None = msgspec.field(default=None, name="from")


class _MeterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tariff: str | list[_Change] = ""
    contracted_kva: Decimal | None = None
    declared_kw: Decimal | None = None
    prepaid: bool = False
    export: bool | None = None


class _RegisterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    imports: str = msgspec.field(default="1-0:1.8.0", name="import")
    exports: str = msgspec.field(default="1-0:2.8.0", name="export")
    reactive: str = "1-0:3.8.0"


def read_settings(config: Mapping[str, object]) -> BillingSettings:
    """Read and check the configuration.

    Raises:
        AppSettingsError: All that is wrong with it.
    """
    reader = _Reader(config)
    settings = reader.settings()
    problems = [*reader.problems, *(() if reader.problems else _contradictions(settings))]
    if problems:
        raise AppSettingsError(
            f"The tariff app cannot be configured so: {'; '.join(problems)}.", problems=problems
        )
    return settings


class _Reader:
    """Reads each part by itself, so that all problems are found."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self.problems: list[str] = []
        self._config = config
        known = {"tariffs", "default", "meters", "vee", "final_after_days", "registers", "unbilled"}
        if unknown := sorted(map(str, config.keys() - known)):
            self.problems.append(
                f"{', '.join(unknown)} is unknown; known: {', '.join(sorted(known))}"
            )

    def settings(self) -> BillingSettings:
        days = self._part("final_after_days", int, FINAL_AFTER_DAYS)
        if not 0 <= days <= FINAL_AFTER_DAYS_MAX:
            self.problems.append(
                f"final_after_days is {days}, which is not 0 to {FINAL_AFTER_DAYS_MAX}"
            )
        return BillingSettings(
            versions=self._versions(),
            default=self._part("default", str, ""),
            meters=self._meters(),
            rules=self._rules(),
            final_after_days=days,
            registers=self._registers(),
            unbilled=tuple(self._part("unbilled", list[str], [])),
        )

    def _part(self, name: str, kind: type[Converted], otherwise: Converted) -> Converted:
        return self._converted(name, self._config.get(name, otherwise), kind, otherwise)

    def _converted(
        self, where: str, value: object, kind: type[Converted], otherwise: Converted
    ) -> Converted:
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, InvalidInputError) as error:
            self.problems.append(f"{where}: {str(error).rstrip('.')}")
            return otherwise

    def _versions(self) -> dict[str, tuple[Tariff, ...]]:
        documents: list[Any] = self._part("tariffs", list, [])
        if not documents:
            self.problems.append("tariffs: give at least one tariff")
        found: dict[str, list[Tariff]] = {}
        for place, document in enumerate(documents):
            try:
                tariff = tariff_of_document(document, f"tariffs[{place}]")
            except InvalidInputError as error:
                self.problems.append(str(error).rstrip("."))
                continue
            found.setdefault(tariff.id, []).append(tariff)
        for name, versions in found.items():
            numbers = [version.version for version in versions]
            if len(set(numbers)) != len(numbers):
                self.problems.append(f"tariff {name} has versions {numbers}, some of them twice")
        return {
            name: tuple(sorted(versions, key=lambda each: each.version))
            for name, versions in sorted(found.items())
        }

    def _meters(self) -> dict[MeterId, MeterTerms]:
        entries: dict[Any, Any] = self._part("meters", dict, {})
        meters = {}
        for name, entry in entries.items():
            config = self._converted(f"meters.{name}", entry, _MeterConfig, _MeterConfig())
            meter = self._converted(f"meters.{name}", name, str, "")
            try:
                meters[meter_id(meter)] = _terms(config, str(self._config.get("default", "")))
            except InvalidInputError as error:
                self.problems.append(f"meters: {str(error).rstrip('.')}")
        return meters

    def _rules(self) -> VeeRules:
        given = self._part("vee", dict, {})
        if unknown := sorted(map(str, given.keys() - {each.name for each in fields(VeeRules)})):
            self.problems.append(f"vee: {', '.join(unknown)} is unknown")
        return self._converted("vee", given, VeeRules, VeeRules())

    def _registers(self) -> Registers:
        given = self._config.get("registers", {})
        config = self._converted("registers", given, _RegisterConfig, _RegisterConfig())
        try:
            codes = (Obis.parse(config.imports), Obis.parse(config.exports))
            registers = Registers(*codes, Obis.parse(config.reactive))
        except InvalidInputError as error:
            self.problems.append(f"registers: {str(error).rstrip('.')}")
            return USUAL_REGISTERS
        if len(set(registers.all())) != 3:
            self.problems.append("registers: import, export and reactive must be three")
        return registers


def tariff_of_document(document: object, where: str) -> Tariff:
    """Read a tariff from a mapping or YAML text; raises TariffDocumentError."""
    if isinstance(document, Mapping):
        return tariff_from_plain(document, where)
    return parse_tariff(str(document), where)


def _terms(config: _MeterConfig, default: str) -> MeterTerms:
    changes = config.tariff or default
    if isinstance(changes, str):
        assignments: Sequence[Assignment] = (Assignment(changes),)
    else:
        assignments = tuple(Assignment(change.id, change.since) for change in changes)
    contract = Contract(config.contracted_kva, config.declared_kw)
    return MeterTerms(tuple(assignments), contract, config.prepaid, config.export)


def _contradictions(settings: BillingSettings) -> Iterator[str]:
    known = ", ".join(settings.versions)
    if settings.default and settings.default not in settings.versions:
        yield f"default tariff {settings.default!r} is not among the tariffs {known}"
        return
    if not settings.default and not settings.meters:
        yield "it names no meter and no default tariff, so nobody would be billed"
    for meter, terms in settings.meters.items():
        yield from _meter_problems(settings, f"meter {meter}", terms)
    if settings.default:
        terms = MeterTerms((Assignment(settings.default),))
        yield from _meter_problems(settings, "a meter with the default tariff", terms)


def _meter_problems(settings: BillingSettings, who: str, terms: MeterTerms) -> Iterator[str]:
    dates = [assignment.since for assignment in terms.assignments]
    later = [day for day in dates[1:] if day is not None]
    if dates[0] is not None or len(later) != len(dates) - 1 or sorted(set(later)) != later:
        yield f"{who}: the first tariff has no `from`, each later one a later `from`"
    names = [assignment.tariff for assignment in terms.assignments]
    if unknown := sorted({name for name in names if name not in settings.versions}):
        told = ", ".join(map(repr, unknown))
        yield f"{who} has tariff {told}, known are {', '.join(settings.versions)}"
        return
    tariffs = [version for name in names for version in settings.versions[name]]
    clocks = {(each.zone, each.month_start_day, each.currency) for each in tariffs}
    if len(clocks) > 1:
        yield f"{who}: its tariffs differ in zone, first day of the month or currency"
    for tariff in tariffs:
        if tariff.capacity is None:
            continue
        needed = {
            "contracted_capacity": terms.contract.contracted_kva,
            "declared_demand": terms.contract.declared_kw,
        }
        if needed[tariff.capacity.basis] is None:
            yield f"{who} has two-part tariff {tariff.id} and no {tariff.capacity.basis} given"
    if terms.is_prepaid and not any(tariff.prepayment for tariff in tariffs):
        yield f"{who} is prepaid, but tariff {names[-1]} has no prepayment"
