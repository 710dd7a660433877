"""Reads a scenario from YAML and says on which line it is wrong.

events:
  - kind: theft_bypass        # see `scenario.Kind`
    meters: [m000003, m000017]
    start: 3600               # seconds since the simulation's start, or a time with zone
    end: 2026-01-06T12:00:00Z # left out: for ever
    share: 0.5                # the kind's number, see `scenario.PARAMETERS`
  - kind: outage
    groups: [feeder-1]
    start: 7200
    end: 9000
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import yaml

from metertwin.simulation.errors import ScenarioError, problem_list
from metertwin.simulation.scenario import FOR_EVER_S, PARAMETERS, Incident, Kind, Scenario

_GROUPS_ALLOWED = {Kind.OUTAGE, Kind.VOLTAGE_DIP, Kind.SILENT}
_FIELDS = ("kind", "meters", "groups", "start", "end")


@dataclass(frozen=True, slots=True)
class Names:
    """What a scenario may name.

    Attributes:
        rows: Row of each meter id.
        feeders: Number of each group id.
        start: The simulation's start.
    """

    rows: Mapping[str, int]
    feeders: Mapping[str, int]
    start: datetime


def read_scenario(path: Path, known: Names) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioError: It is missing or breaks the schema; every problem is named with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} cannot be read: {error}.", path=str(path)) from error
    return parse_scenario(text, known, str(path))


def parse_scenario(text: str, known: Names, where: str = "scenario") -> Scenario:
    """Read a scenario from text; see `read_scenario`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark or error.problem_mark
        line = f"line {mark.line + 1}" if mark else "somewhere"
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise ScenarioError(f"{where}, {line}: this is no YAML: {reason}.", where=where) from error
    except yaml.YAMLError as error:  # a character YAML does not know
        raise ScenarioError(f"{where} is no YAML: {error}.", where=where) from error
    reader = _Reader(known)
    incidents = reader.events(root)
    if reader.problems:
        raise ScenarioError(problem_list(where, reader.problems), where=where)
    return Scenario(tuple(incidents))


@dataclass(slots=True)
class _Reader:
    known: Names
    problems: list[str] = field(default_factory=list)

    def wrong(self, node: yaml.Node, what: str) -> None:
        self.problems.append(f"line {node.start_mark.line + 1}: {what}")

    def events(self, root: yaml.Node | None) -> list[Incident]:
        if root is None:
            return []
        top = self.fields(root, ("events",))
        listed = top.get("events")
        if not isinstance(listed, yaml.SequenceNode):
            self.wrong(root if listed is None else listed, "write a list under `events:`.")
            return []
        found = [self.incident(node) for node in listed.value]
        return [item for item in found if item is not None]

    def fields(self, node: yaml.Node, allowed: tuple[str, ...]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"write fields here, of {', '.join(allowed)}.")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                self.wrong(key, f"{name} stands here twice.")
            found[name] = value
        return found

    def incident(self, node: yaml.Node) -> Incident | None:
        problem_count = len(self.problems)
        given = self.fields(node, _FIELDS)
        kind = self.kind(node, given)
        if kind is None:
            return None
        number_name = PARAMETERS[kind][0] if kind in PARAMETERS else None
        allowed = (*_FIELDS, number_name) if number_name else _FIELDS
        for name, value in given.items():
            if name not in allowed:
                self.wrong(value, f"{kind} has no field {name!r}; it has {', '.join(allowed)}.")
        rows = self.names(given.get("meters"), "meter", self.known.rows)
        feeders = self.names(given.get("groups"), "group", self.known.feeders)
        self.check_targets(node, kind, given)
        start_s, end_s = self.span(node, kind, given)
        number = self.number(node, kind, given)
        if len(self.problems) > problem_count:
            return None
        return Incident(kind, rows, feeders, start_s, end_s, number)

    def kind(self, node: yaml.Node, given: Mapping[str, yaml.Node]) -> Kind | None:
        known = ", ".join(Kind)
        if "kind" not in given:
            self.wrong(node, f"kind is missing; known are {known}.")
            return None
        try:
            return Kind(given["kind"].value)
        except (ValueError, TypeError):
            self.wrong(
                given["kind"], f"kind {given['kind'].value!r} is not known; known are {known}."
            )
            return None

    def check_targets(self, node: yaml.Node, kind: Kind, given: Mapping[str, yaml.Node]) -> None:
        if kind is Kind.VOLTAGE_DIP and "meters" in given:
            self.wrong(given["meters"], "a voltage_dip is of a whole feeder; name it in groups.")
        elif "groups" in given and kind not in _GROUPS_ALLOWED:
            self.wrong(given["groups"], f"{kind} happens to meters; name them in meters.")
        elif "meters" not in given and "groups" not in given:
            self.wrong(node, f"{kind} names nobody; give meters or groups.")

    def names(self, node: yaml.Node | None, what: str, known: Mapping[str, int]) -> tuple[int, ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.wrong(node, f"write a list of {what}s, for example [{next(iter(known))}].")
            return ()
        for item in node.value:
            if str(item.value) not in known:
                span = f"{next(iter(known))} to {list(known)[-1]}"
                self.wrong(item, f"{what} {item.value} does not exist; there are {span}.")
        return tuple(known[item.value] for item in node.value if str(item.value) in known)

    def span(self, node: yaml.Node, kind: Kind, given: Mapping[str, yaml.Node]) -> tuple[int, int]:
        if "start" not in given:
            self.wrong(node, "start is missing; give seconds since the start, or a time.")
            return 0, 0
        start_s = self.moment(given["start"])
        if "end" not in given:
            return start_s, FOR_EVER_S
        if kind.is_instant:
            self.wrong(given["end"], f"{kind} happens at start and has no end.")
        end_s = self.moment(given["end"])
        if end_s <= start_s:
            self.wrong(given["end"], "end is not after start.")
        return start_s, end_s

    def moment(self, node: yaml.Node) -> int:
        first_s = int(self.known.start.timestamp())
        readers: tuple[Callable[[str], int], ...] = (lambda text: first_s + int(text), _instant_s)
        for read in readers:
            try:
                return read(str(node.value))
            except ValueError:
                continue
        self.wrong(
            node,
            f"{node.value!r} is no moment; write whole seconds since the start, "
            "or a time with zone such as 2026-01-06T12:00:00Z.",
        )
        return 0

    def number(self, node: yaml.Node, kind: Kind, given: Mapping[str, yaml.Node]) -> float:
        if kind not in PARAMETERS:
            return 0.0
        name, low, high = PARAMETERS[kind]
        if name not in given:
            self.wrong(node, f"{kind} needs {name}, {low:g} to {high:g}.")
            return 0.0
        try:
            number = float(given[name].value)
        except (ValueError, TypeError):
            number = float("nan")
        if not low <= number <= high:
            self.wrong(given[name], f"{name} {given[name].value!r} is not {low:g} to {high:g}.")
        return number


def _instant_s(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return int(moment.timestamp())
