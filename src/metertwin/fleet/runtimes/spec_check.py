"""What must hold of a container's description, whatever runs it."""

import re

from metertwin.fleet.runtimes.errors import SpecError
from metertwin.fleet.runtimes.spec import CPU_LEAST_RATIO, MEMORY_LEAST_BYTES, ContainerSpec

RESERVED_LABELS = "io.metertwin.runtime"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_USER = re.compile(r"\d+(:\d+)?")


def check_spec(spec: ContainerSpec) -> None:
    """Raise SpecError, which tells of all mistakes at once, unless the description is sound."""
    problems = [*_name_problems(spec), *_limit_problems(spec), *_path_problems(spec)]
    problems += [
        f"port {port.container_port} at {port.host_port} (both are 1 to 65535)"
        for port in spec.ports
        if not (0 < port.container_port < 65536 and 0 < port.host_port < 65536)
    ]
    raise_problems(spec.name, problems)


def raise_problems(name: str, problems: list[str]) -> None:
    """Raise SpecError if there are any problems."""
    if problems:
        raise SpecError(
            f"Container {name!r} cannot be described so: {'; '.join(problems)}.",
            container=name,
            problems=problems,
        )


def _name_problems(spec: ContainerSpec) -> list[str]:
    problems = []
    if not _NAME.fullmatch(spec.name):
        problems.append("its name must be letters, digits, '-', '_' and '.', not first a sign")
    if spec.user is not None and not _USER.fullmatch(spec.user):
        problems.append(f"user {spec.user!r} must be numeric, uid or uid:gid")
    problems += [
        f"label {label} is reserved for the runtime"
        for label in spec.labels
        if label.startswith(RESERVED_LABELS)
    ]
    problems += [
        f"variable {name!r} must have a name without '='"
        for name in spec.environment
        if not name or "=" in name
    ]
    return problems


def _limit_problems(spec: ContainerSpec) -> list[str]:
    problems = []
    cpu_ratio, memory_bytes = spec.limits.cpu_ratio, spec.limits.memory_bytes
    if cpu_ratio is not None and not cpu_ratio >= CPU_LEAST_RATIO:
        problems.append(f"cpu_ratio {cpu_ratio:g} is below {CPU_LEAST_RATIO:g} of a core")
    if memory_bytes is not None and memory_bytes < MEMORY_LEAST_BYTES:
        problems.append(f"memory_bytes {memory_bytes} is below {MEMORY_LEAST_BYTES}")
    if not spec.stop_grace_s >= 0:
        problems.append(f"stop_grace_s {spec.stop_grace_s:g} is negative")
    if spec.health is not None and not (spec.health.command and spec.health.every_s > 0):
        problems.append("its health check needs a command and every_s above 0")
    return problems


def _path_problems(spec: ContainerSpec) -> list[str]:
    paths = [path for mount in spec.mounts for path in (mount.source, mount.target)]
    return [f"path {path!r} must be absolute" for path in (*paths, *spec.tmpfs) if path[:1] != "/"]
