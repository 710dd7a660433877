"""What the Docker Engine API says, and how a spec is said to it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from metertwin.fleet.runtimes.docker.client import whole_seconds
from metertwin.fleet.runtimes.port import ContainerStatus, Health, Image, Phase
from metertwin.fleet.runtimes.spec import ContainerSpec, HealthCheck, PublishedPort, RestartKind

DIGEST_LABEL = "io.metertwin.runtime.digest"
_PIDS_COUNT = 1024
_LOG_SIZE = "10m"
_TMPFS_OPTIONS = "rw,noexec,nosuid,nodev,size=64m,mode=1777"
# What an engine puts before a name that has no registry; the same image under all of them.
_LOCAL_PREFIXES = ("localhost/", "docker.io/library/")
_PHASES = {
    "created": Phase.CREATED,
    "configured": Phase.CREATED,
    "initialized": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "stopping": Phase.RUNNING,
    "restarting": Phase.RESTARTING,
}
ALWAYS, UNLESS_STOPPED = "always", "unless-stopped"
_RESTARTS = {
    # Not "unless-stopped": a Docker that crashed ends at its start what still runs, and takes that
    # for somebody's stop. Who is stopped here gets that policy then; see `runtime`.
    RestartKind.ALWAYS: ALWAYS,
    RestartKind.ON_FAILURE: "on-failure",
    RestartKind.NEVER: "no",
}


def creation_of(spec: ContainerSpec, *, splits_checks: bool) -> dict[str, Any]:
    """Return the body that creates a container, its first network included.

    Args:
        spec: The container.
        splits_checks: Whether the engine splits a health check's arguments at their blanks.
    """
    ports = {f"{port.container_port}/tcp": port for port in spec.ports}
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": {**spec.labels, DIGEST_LABEL: spec.digest},
        "StopTimeout": whole_seconds(spec.stop_grace_s),
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": _host_config(spec, ports),
    }
    if spec.argv:
        body["Cmd"] = list(spec.argv)
    if spec.user is not None:
        body["User"] = spec.user
    if spec.health is not None:
        body["Healthcheck"] = _healthcheck(spec.health, splits_checks=splits_checks)
    if spec.networks:
        body["NetworkingConfig"] = {"EndpointsConfig": {spec.networks[0]: _endpoint(spec)}}
    return body


def connection_of(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body that connects a container to a further network."""
    return {"Container": spec.name, "EndpointConfig": _endpoint(spec)}


def _endpoint(spec: ContainerSpec) -> dict[str, Any]:
    return {"Aliases": [spec.name]}


def _host_config(spec: ContainerSpec, ports: Mapping[str, PublishedPort]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": spec.networks[0] if spec.networks else "bridge" if ports else "none",
        "RestartPolicy": {
            "Name": _RESTARTS[spec.restart.kind],
            "MaximumRetryCount": spec.restart.most_count or 0,
        },
        "PortBindings": {
            name: [{"HostIp": port.address, "HostPort": str(port.host_port)}]
            for name, port in ports.items()
        },
        "Mounts": [
            {
                "Type": "bind",
                "Source": mount.source,
                "Target": mount.target,
                "ReadOnly": mount.is_read_only,
            }
            for mount in spec.mounts
        ],
        "Tmpfs": dict.fromkeys(spec.tmpfs, _TMPFS_OPTIONS),
        "ReadonlyRootfs": spec.is_read_only,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": _PIDS_COUNT,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LOG_SIZE}},
    }
    if spec.limits.cpu_ratio is not None:
        config["NanoCpus"] = round(spec.limits.cpu_ratio * 1e9)
    if spec.limits.memory_bytes is not None:
        config["Memory"] = config["MemorySwap"] = spec.limits.memory_bytes
    return config


def _healthcheck(check: HealthCheck, *, splits_checks: bool) -> dict[str, Any]:
    # Podman 4 joins the arguments by blanks, and reads what it gets as JSON before it splits it.
    is_whole = not splits_checks or len(check.command) == 1
    return {
        "Test": ["CMD", *check.command] if is_whole else [json.dumps(check.command)],
        "Interval": round(check.every_s * 1e9),
        "Timeout": round(check.timeout_s * 1e9),
        "StartPeriod": round(check.start_s * 1e9),
        "Retries": check.retries_count,
    }


def status_of(inspected: Mapping[str, Any]) -> ContainerStatus:
    """Return the status that an inspected container has."""
    state = inspected["State"]
    phase = _PHASES.get(state["Status"], Phase.EXITED)
    has_ended = phase in (Phase.EXITED, Phase.RESTARTING)
    labels = dict(inspected["Config"].get("Labels") or {})
    return ContainerStatus(
        name=inspected["Name"].removeprefix("/"),
        phase=phase,
        health=health_of((state.get("Health") or {}).get("Status")),
        image=short_reference(inspected["Config"]["Image"]),
        image_id="sha256:" + inspected["Image"].removeprefix("sha256:"),
        exit_code=state["ExitCode"] if has_ended else None,
        restart_count=inspected.get("RestartCount") or 0,
        was_out_of_memory=bool(state.get("OOMKilled")),
        started_at=time_of(state.get("StartedAt")),
        pid=state.get("Pid") or None,
        spec_digest=labels.pop(DIGEST_LABEL, None),
        labels=labels,
    )


def health_of(said: str | None) -> Health:
    """Return what an engine says of health; an empty word is none."""
    return Health(said) if said in set(Health) else Health.NONE


def time_of(said: str | None) -> datetime | None:
    """Return a time that an engine says, in RFC 3339 with nanoseconds; its year 1 is no time.

    Example:
        >>> time_of("2026-03-29T12:00:00.123456789Z"), time_of("0001-01-01T00:00:00Z")
        (datetime.datetime(2026, 3, 29, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc), None)
    """
    if not said or said.startswith("0001"):
        return None
    return datetime.fromisoformat(said).astimezone(UTC)


def image_of(listed: Mapping[str, Any]) -> Image:
    """Return a listed image; one without references has none."""
    references = tuple(
        short_reference(reference)
        for reference in listed.get("RepoTags") or ()
        if reference != "<none>:<none>"
    )
    return Image(
        id=listed["Id"],
        references=references,
        size_bytes=listed["Size"],
        created_at=datetime.fromtimestamp(listed["Created"], UTC),
        labels=dict(listed.get("Labels") or {}),
    )


def short_reference(reference: str) -> str:
    """Return an image's reference without what an engine puts before a name of its own.

    Example:
        >>> short_reference("localhost/metertwin:1"), short_reference("quay.io/metertwin:1")
        ('metertwin:1', 'quay.io/metertwin:1')
    """
    for prefix in _LOCAL_PREFIXES:
        reference = reference.removeprefix(prefix)
    return reference


def log_text(content: bytes) -> str:
    r"""Return the text of a log that comes in frames: stream, three zeros, length, bytes.

    Example:
        >>> log_text(b"\1\0\0\0\0\0\0\3hi!" + b"\2\0\0\0\0\0\0\1?")
        'hi!?'
    """
    parts = []
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8])
        parts.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(parts).decode(errors="replace")
