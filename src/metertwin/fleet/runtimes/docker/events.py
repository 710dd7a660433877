"""What an engine says has happened, turned into the port's events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from metertwin.fleet.runtimes.docker.wire import DIGEST_LABEL, health_of
from metertwin.fleet.runtimes.port import EventKind, Health, RuntimeEvent

_BESIDE_LABELS = {
    "containerExitCode",
    "execDuration",
    "exitCode",
    "image",
    "name",
    "signal",
    "podId",
    "health_status",
}


class EventReader:
    """Reads one engine's events in order.

    A container that ran out of memory is told of by an event of its own, before it is told that
    the container died; the reader remembers the one for the other. Podman tells of every run of a
    health check: the reader passes on what changed.
    """

    def __init__(self) -> None:
        self._out_of_memory: set[str] = set()
        self._health: dict[str, Health] = {}

    def read(self, said: Mapping[str, Any]) -> RuntimeEvent | None:
        """Return the event that the engine's words mean, or None for what the port leaves out."""
        action = str(said.get("Action") or said.get("status") or "")
        attributes = said["Actor"]["Attributes"]
        if DIGEST_LABEL not in attributes:
            return None
        name = str(attributes.get("name", ""))
        if action == "oom":
            self._out_of_memory.add(name)
        if action == "start":
            self._out_of_memory.discard(name)
            self._health[name] = Health.STARTING
            return _event(said, EventKind.STARTED)
        if action in ("die", "died"):
            code = attributes.get("exitCode") or attributes.get("containerExitCode")
            return _event(
                said,
                EventKind.DIED,
                exit_code=None if code is None else int(code),
                was_out_of_memory=name in self._out_of_memory,
            )
        if action.startswith("health_status"):
            return self._health_event(said, name, _health(action, said, attributes))
        return None

    def _health_event(
        self, said: Mapping[str, Any], name: str, health: Health
    ) -> RuntimeEvent | None:
        before, self._health[name] = self._health.get(name), health
        return None if health is before else _event(said, EventKind.HEALTH, health=health)


def _health(action: str, said: Mapping[str, Any], attributes: Mapping[str, Any]) -> Health:
    _, _, word = action.partition(": ")
    return health_of(word or attributes.get("health_status") or said.get("HealthStatus"))


def _event(
    said: Mapping[str, Any],
    kind: EventKind,
    *,
    exit_code: int | None = None,
    was_out_of_memory: bool = False,
    health: Health | None = None,
) -> RuntimeEvent:
    attributes = said["Actor"]["Attributes"]
    seconds, nanoseconds = divmod(int(said["timeNano"]), 1_000_000_000)
    return RuntimeEvent(
        name=str(attributes["name"]),
        kind=kind,
        occurred_at=datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000),
        labels={
            label: value
            for label, value in attributes.items()
            if label not in _BESIDE_LABELS and label != DIGEST_LABEL
        },
        exit_code=exit_code,
        was_out_of_memory=was_out_of_memory,
        health=health,
    )
