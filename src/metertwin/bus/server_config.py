"""The configuration of the bus's server, written anew at each start."""

from pathlib import Path

from metertwin.bus.certificate import KEY, ensure_certificate
from metertwin.bus.credentials import (
    Permissions,
    Role,
    ensure_seed,
    ensure_seeds,
    inbox_prefix,
    permissions_at,
    permissions_of_edge,
    seed_path,
)
from metertwin.bus.place import LOOPBACK, BusPlace, host_and_port, leaf_seed_name
from metertwin.bus.server_errors import StoreError

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # a day of load profiles of a large group in one message
# A power cut may take what came in this long before it; kill -9 of the server takes nothing.
SYNC_INTERVAL_S = 10
DEFAULT_STORE_BYTES = 16 * 1024**3
_MEMORY_STORE_BYTES = 256 * 1024 * 1024
_ANSWER_WITHIN_S = 120  # how long a role may still answer a request it was sent
# A link whose other end went without a word is given up after two unanswered pings.
_LINK_PING_S = 5
_LINK_RECONNECT_S = 1
_HANDSHAKE_WITHIN_S = 5


def write_config(
    directory: Path,
    seeds: Path,
    port: int,
    *,
    store_bytes: int = DEFAULT_STORE_BYTES,
    place: BusPlace | None = None,
    host: str = LOOPBACK,
) -> Path:
    """Write `nats.conf` into `directory`, make missing seeds, and return the file's path.

    Args:
        directory: Of the configuration and of the streams, for example `<state>/bus`.
        seeds: Directory of the roles' seeds.
        port: Port to listen on, 1 to 65535.
        store_bytes: What all streams together may occupy on disk.
        place: Among other sites; None where there is none.
        host: Address to listen on; another than the loopback's only within a container's network.

    Raises:
        SeedError: A seed is damaged or cannot be written.
        StoreError: The directory cannot be written.
        PlaceError: The place cannot be so.
    """
    place = place or BusPlace()
    place.check()
    text = f"""# Written by MeterTwin at each start; changes here are lost.
listen: "{host}:{port}"
server_name: "metertwin{f"-{place.domain}" if place.domain else ""}"
max_payload: {MAX_PAYLOAD_BYTES}
write_deadline: "10s"
jetstream {{
  store_dir: "{directory.resolve() / "jetstream"}"
  max_file_store: {store_bytes}
  max_memory_store: {_MEMORY_STORE_BYTES}
  sync_interval: "{SYNC_INTERVAL_S}s"
{f'  domain: "{place.domain}"' if place.domain else ""}
}}
authorization {{
  timeout: 5
  users: [
{_users(seeds, place)}
  ]
}}
{_links(place, seeds)}"""
    return _written(directory, text)


def _written(directory: Path, text: str) -> Path:
    config = directory / "nats.conf"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "jetstream").mkdir(exist_ok=True)
        probe = directory / "jetstream" / ".writable"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
        config.touch(mode=0o600)  # before it holds anything: an edge's has the seed of its link
        config.chmod(0o600)
        config.write_text(text)
    except OSError as error:
        raise StoreError(
            f"The bus cannot write to its directory {directory}: {error.strerror}; "
            "check owner, mode and free space, or give another state directory.",
            path=str(directory),
        ) from error
    return config


def _users(seeds: Path, place: BusPlace) -> str:
    keys = ensure_seeds(seeds)
    domains = tuple(edge.site for edge in place.edges)
    users = [
        _user(keys[role], permissions_at(role, domains), inbox_prefix(seed_path(seeds, role)))
        for role in Role
    ]
    for edge in place.edges:
        key = ensure_seed(seeds / f"{leaf_seed_name(edge.site)}.seed")
        users.append(_user(key, permissions_of_edge(edge)))
    return ",\n".join(users)


def _user(key: str, permissions: Permissions, inbox: str = "") -> str:
    denied = _quoted(permissions.deny)
    hears = (*permissions.subscribe, f"{inbox}.>") if inbox else permissions.subscribe
    return (
        f'    {{ nkey: "{key}", permissions: {{\n'
        f"      publish: {{ allow: [{_quoted(permissions.publish)}], deny: [{denied}] }}\n"
        f"      subscribe: {{ allow: [{_quoted(hears)}], deny: [{denied}] }}\n"
        f'      allow_responses: {{ max: 1, expires: "{_ANSWER_WITHIN_S}s" }}\n'
        "    } }"
    )


def _links(place: BusPlace, seeds: Path) -> str:
    if place.leaf_port is not None:
        certificate = ensure_certificate(seeds, place.leaf_names)
        # Without no_advertise an edge would learn this server's own address and go around
        # whatever stands between, a firewall's forwarding for example.
        key = (seeds / KEY).resolve()
        listen = host_and_port(place.leaf_host, place.leaf_port)
        return (
            f'leafnodes {{\n  listen: "{listen}"\n  no_advertise: true\n'
            f'  tls {{ cert_file: "{certificate.resolve()}", key_file: "{key}", '
            f"timeout: {_HANDSHAKE_WITHIN_S} }}\n}}\n"
        )
    if place.uplink is None:
        return ""
    seed = place.uplink.seed.read_text().strip()
    return (
        f'ping_interval: "{_LINK_PING_S}s"\nping_max: 2\n'
        f'leafnodes {{\n  reconnect: "{_LINK_RECONNECT_S}s"\n'
        f'  remotes: [ {{ url: "{place.uplink.url}", nkey: "{seed}", '
        f'tls {{ ca_file: "{place.uplink.certificate.resolve()}", '
        f"timeout: {_HANDSHAKE_WITHIN_S} }} }} ]\n}}\n"
    )


def _quoted(subjects: tuple[str, ...]) -> str:
    return ", ".join(f'"{each}"' for each in subjects)
