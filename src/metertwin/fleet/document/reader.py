"""From YAML to a fleet file and back; every problem with its line, its place and what to do."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from metertwin.core.documents.nodes import compose
from metertwin.core.documents.place import Place
from metertwin.core.documents.problems import DocumentError, DocumentKind, Problem, Refused
from metertwin.core.documents.scalars import Bounds, read_decimal, read_integer, read_name, shown
from metertwin.core.documents.written import yaml_of
from metertwin.fleet.document.checks import check_against
from metertwin.fleet.document.form import (
    CPU_MOST_RATIO,
    FLEET_VERSION,
    IMAGE,
    MEMORY,
    MEMORY_UNITS,
    POSTPONE_MOST_S,
    WATCH_MOST_S,
    AppEntry,
    FleetFile,
    GroupEntry,
    LimitsEntry,
    ResourcesEntry,
    RolloutEntry,
    SiteEntry,
)
from metertwin.fleet.document.known import Known
from metertwin.fleet.runtimes.spec import CPU_LEAST_RATIO, MEMORY_LEAST_BYTES

T = TypeVar("T")
Readers = Mapping[str, Callable[[Place], object]]

ALL: Literal["all"] = "all"
ANY: Literal["any"] = "any"
_CPU: Bounds = (Decimal(str(CPU_LEAST_RATIO)), Decimal(str(CPU_MOST_RATIO)))
_POSTPONE: Bounds = (Decimal(0), Decimal(str(POSTPONE_MOST_S)))
_WATCH: Bounds = (Decimal(0), Decimal(str(WATCH_MOST_S)))


class FleetFileError(DocumentError):
    """A file that is no fleet, or one that cannot be; `problems` has all that was found."""

    code = "input.fleet_file"


FLEET = DocumentKind("fleet", "fleet files", FleetFileError)


def parse_fleet(text: str, where: str, known: Known | None = None) -> FleetFile:
    r"""Read a fleet file; docs/fleet.md explains the form.

    Args:
        text: YAML, at most 256 KiB.
        where: Names it in errors, for example the file's path.
        known: What there is; None checks the form alone.

    Raises:
        FleetFileError: It is no YAML, breaks the form, or asks for what is not there or cannot be.

    Example:
        >>> parse_fleet("version: 1\ngroups: {feeder-1: {at: cloud}}", "fleet.yaml").groups
        {'feeder-1': GroupEntry(at='cloud', image=None, apps=None, twins_per_container=None)}
    """
    problems: list[Problem] = []
    root = Place(compose(text, where, FLEET), "", problems)
    try:
        file = _read_file(root)
    except Refused:
        raise FleetFileError(where, problems) from None
    if known is not None:
        check_against(known, file, root)
    if problems:
        problems.sort(key=lambda problem: problem.line_number or 0)
        raise FleetFileError(where, problems)
    return file


def fleet_yaml(file: FleetFile) -> str:
    """Return a fleet file as YAML: `parse_fleet` of it is the same."""
    plain = msgspec.to_builtins(file)
    return yaml_of(_texts(plain), {"name", "version"})


def _texts(plain: dict[str, object]) -> dict[str, object]:
    return {key: _text(value) for key, value in plain.items()}


def _text(value: object) -> object:
    if isinstance(value, dict):
        return _texts(value)
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else value


def _read_file(place: Place) -> FleetFile:
    """Read the whole; what cannot be read is noted and left out, so that the rest is checked."""
    values = _values(
        place,
        {
            "version": _read_version,
            "image": _read_image,
            "apps": _read_apps,
            "rollout": _read_rollout,
            "sites": lambda part: _each_entry(part, "sites", _read_site),
            "groups": lambda part: _each_entry(part, "groups", _read_group),
        },
        required=("version",),
    )
    return FleetFile(**{**values, "version": FLEET_VERSION})  # type: ignore[arg-type] # read above


def _read_version(place: Place) -> int:
    version = read_integer(place)
    if version != FLEET_VERSION:
        raise place.wrong(f"Version {version} is not known; this program reads {FLEET_VERSION}.")
    return version


def _read_site(place: Place) -> SiteEntry:
    readers: Readers = {"image": _read_image, "resources": _read_resources}
    return SiteEntry(**_values(place, readers))  # type: ignore[arg-type] # read above


def _read_resources(place: Place) -> ResourcesEntry:
    readers: Readers = dict.fromkeys(ResourcesEntry.__struct_fields__, _read_limits)
    return ResourcesEntry(**_values(place, readers))  # type: ignore[arg-type] # read above


def _read_limits(place: Place) -> LimitsEntry:
    readers: Readers = {"cpu_ratio": _read_cpu, "memory": _read_memory}
    return LimitsEntry(**_values(place, readers))  # type: ignore[arg-type] # read above


def _read_cpu(place: Place) -> float:
    return float(read_decimal(place, " of one core", _CPU))


def _read_memory(place: Place) -> str:
    text = place.text("memory such as 256MiB")
    if not MEMORY.fullmatch(text):
        raise place.wrong(
            f"{shown(text)} is no amount of memory; write a whole number with its unit KiB, MiB or "
            "GiB and no blank, as in 256MiB."
        )
    if (LimitsEntry(memory=text).limits.memory_bytes or 0) < MEMORY_LEAST_BYTES:
        least = f"{MEMORY_LEAST_BYTES // MEMORY_UNITS['MiB']}MiB"
        raise place.wrong(f"{text} is less than any container starts within; give {least} or more.")
    return text


def _read_image(place: Place) -> str:
    text = place.text("an image such as metertwin:0.1.0")
    if not IMAGE.fullmatch(text):
        raise place.wrong(
            f"{shown(text)} does not say exactly what runs; write an image with its tag, as in "
            "metertwin:0.1.0."
        )
    return text


def _read_group(place: Place) -> GroupEntry:
    readers: Readers = {
        "at": read_name,
        "image": _read_image,
        "apps": _read_apps,
        "twins_per_container": _read_share,
    }
    return GroupEntry(**_values(place, readers))  # type: ignore[arg-type] # read above


def _read_share(place: Place) -> int | Literal["all"]:
    if place.text("a number of twins, or all") == ALL:
        return ALL
    return read_integer(place, " twins", (Decimal(1), None))


def _read_apps(place: Place) -> tuple[AppEntry, ...]:
    readers: Readers = {"name": read_name, "version": read_name}
    apps = place.each(
        "apps",
        lambda part: AppEntry(**_values(part, readers, required=("name",), is_strict=True)),  # type: ignore[arg-type] # read above
    )
    if not apps:
        raise place.wrong(
            "A group without any app cannot be asked for here; leave the key out for the apps of "
            "the site's settings."
        )
    names = [app.name for app in apps]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise place.wrong(f"App {shown(twice[0])} stands here twice; keep one of them.")
    return tuple(apps)


def _read_rollout(place: Place) -> RolloutEntry:
    readers: Readers = {
        "canary_ratio": _read_canary,
        "watch_s": lambda part: float(read_decimal(part, " s", _WATCH)),
        "differences": _read_differences,
        "postpone_most_s": lambda part: float(read_decimal(part, " s", _POSTPONE)),
    }
    return RolloutEntry(**_values(place, readers))  # type: ignore[arg-type] # read above


def _read_canary(place: Place) -> float:
    ratio = float(read_decimal(place, "", (Decimal(0), Decimal(1))))
    if ratio == 0:
        raise place.wrong("0 is out of range; give a share of the groups above 0, to 1.")
    return ratio


def _read_differences(place: Place) -> int | Literal["any"]:
    if place.text("a number of differences, or any") == ANY:
        return ANY
    return read_integer(place, " differences", (Decimal(0), None))


def _values(
    place: Place, readers: Readers, required: tuple[str, ...] = (), *, is_strict: bool = False
) -> dict[str, object]:
    """Return what can be read of a mapping's keys; `is_strict` refuses it when a part is wrong."""
    if place.node.content == {} and not required:
        return {}
    values: dict[str, object] = {}
    for key, part in place.fields(tuple(readers), required).items():
        with place.part():
            values[key] = readers[key](part)
    if is_strict:
        place.finish()
    return values


def _each_entry(place: Place, what: str, reader: Callable[[Place], T]) -> dict[str, T]:
    entries: dict[str, T] = {}
    for name, part in place.entries(what).items():
        with place.part():
            entries[name] = reader(part)
    return entries
