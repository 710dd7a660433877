"""What a keeper is told: a spec resolved for this machine, and what of it cannot be enforced."""

import hashlib
import os
from pathlib import Path

import msgspec

from metertwin.fleet.runtimes.process.cgroups import ControlGroups, control_groups
from metertwin.fleet.runtimes.spec import ContainerSpec, HealthCheck
from metertwin.fleet.runtimes.spec_check import check_spec, raise_problems

# What a program needs to be found and to run; everything else of this environment stays out.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of one container, as `keeper` reads it.

    Attributes:
        groups: Directories of its control groups.
        limits: What is written into them.
        watched_memory_bytes: Memory above which the keeper ends it, where no control group does.
        uid: User to become, None to stay.
        is_tied: Whether it ends with its controller.
    """

    name: str
    labels: dict[str, str]
    argv: tuple[str, ...]
    environment: dict[str, str]
    groups: tuple[str, ...]
    limits: tuple[tuple[str, str], ...]
    watched_memory_bytes: int | None
    uid: int | None
    gid: int | None
    restart: str
    restart_most_count: int | None
    stop_grace_s: float
    health: HealthCheck | None
    is_tied: bool


def plan_of(
    spec: ContainerSpec, entrypoint: tuple[str, ...], directory: Path, *, is_tied: bool
) -> Plan:
    """Return the plan for a spec.

    Raises:
        SpecError: It wants what a process cannot be given, and would be wrong without.
    """
    check_spec(spec)
    raise_problems(spec.name, _problems(spec))
    uid, gid = _user(spec)
    groups = _groups(spec, directory)
    memory_bytes = spec.limits.memory_bytes
    return Plan(
        name=spec.name,
        labels=spec.labels,
        argv=(*entrypoint, *spec.argv),
        environment={
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **spec.environment,
        },
        groups=groups.directories,
        limits=groups.settings,
        watched_memory_bytes=None if _has(groups, "memory") else memory_bytes,
        uid=uid,
        gid=gid,
        restart=spec.restart.kind.value,
        restart_most_count=(
            spec.restart.most_count if spec.restart.kind.value == "on_failure" else None
        ),
        stop_grace_s=spec.stop_grace_s,
        health=spec.health,
        is_tied=is_tied,
    )


def unenforced(spec: ContainerSpec, plan: Plan) -> tuple[str, ...]:
    """Return what of a spec is not enforced, one sentence each."""
    said = []
    if plan.watched_memory_bytes is not None:
        said.append(
            "memory is looked at twice a second, not limited by the kernel: no control group can "
            "be made here"
        )
    if spec.limits.cpu_ratio is not None and not any("cpu" in file for file, _ in plan.limits):
        said.append("CPU time is not limited: no control group can be made here")
    if spec.is_read_only:
        said.append("files are this machine's, writable as its user may")
    if spec.networks:
        said.append("networks do not separate: ports are this machine's")
    return tuple(said)


def _problems(spec: ContainerSpec) -> list[str]:
    problems = [
        f"mount {mount.source} cannot be seen at {mount.target}: a process sees this machine's own "
        "files, so source and target must be equal"
        for mount in spec.mounts
        if mount.source != mount.target
    ]
    problems += [
        f"port {port.container_port} cannot be published at {port.host_port}: a process listens on "
        "this machine itself, so both must be equal"
        for port in spec.ports
        if port.container_port != port.host_port
    ]
    own = f"{os.getuid()}:{os.getgid()}"
    if spec.user is not None and os.getuid() != 0 and spec.user not in (own, str(os.getuid())):
        problems.append(f"user {spec.user} is not this one ({own}), and only root may change it")
    return problems


def _user(spec: ContainerSpec) -> tuple[int | None, int | None]:
    if spec.user is None or os.getuid() != 0:
        return None, None
    uid, _, gid = spec.user.partition(":")
    return int(uid), int(gid or uid)


def _groups(spec: ContainerSpec, directory: Path) -> ControlGroups:
    # Two state directories may have containers of one name.
    key = f"{spec.name}-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"
    groups = control_groups(key, spec.limits.cpu_ratio, spec.limits.memory_bytes)
    try:
        groups.make()
    except OSError:  # permitted to the letter, and not possible: as in a container of its own
        return ControlGroups((), ())
    return groups


def _has(groups: ControlGroups, controller: str) -> bool:
    return any(Path(file).name.startswith(controller) for file, _ in groups.settings)
