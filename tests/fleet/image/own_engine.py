"""A Docker engine that belongs to a test and may be killed, in a network of its own."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet.runtimes.engines import lacking

from metertwin.fleet.runtimes.docker.client import EngineClient, in_path

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_MNT_DETACH = 2
_WITHIN_S = 60.0
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and what it starts, into an empty network with a loopback of its own.

    A second engine would write its rules into the firewall of the first one otherwise.
    """
    if os.geteuid() != 0:
        lacking("An engine of one's own needs root.")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if _LIBC.unshare(_CLONE_NEWNET):
        os.close(before)
        lacking(f"A network of one's own is not allowed here: {os.strerror(ctypes.get_errno())}.")
    try:
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        yield
    finally:
        _LIBC.setns(before, _CLONE_NEWNET)
        os.close(before)


@dataclass
class OwnEngine:
    """A dockerd with its own files.

    Args:
        root: Directory of its files.
    """

    root: Path
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        return self.root / "d.sock"

    def start(self, *, survives: bool = True) -> None:
        """Start it, and wait until it answers.

        Args:
            survives: Whether containers that still run are kept; else they are ended and started.
        """
        program = shutil.which("dockerd")
        if program is None:
            lacking("No dockerd: install docker.io.")
        assert program is not None
        command = [program, "--host", f"unix://{self.socket}", "--pidfile", str(self.root / "pid")]
        command += ["--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec")]
        command += ["--live-restore"] if survives else []
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        give_up_s = time.monotonic() + _WITHIN_S
        while not self._answers():
            said = (self.root / "log").read_text()[-2000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < give_up_s, said
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(1.0)
            probe.connect(str(self.socket))
            probe.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in probe.recv(64)
        return False

    def kill(self) -> None:
        """End it as a crash would; its containers run on for the time being."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        # Its containerd dies with it. Where nobody waits for orphans the dead one would count as
        # alive, and the next dockerd would wait for it.
        (self.root / "exec" / "containerd" / "containerd.pid").unlink()

    def end(self) -> None:
        """End it and forget its files; its containers must be gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_WITHIN_S)
        _LIBC.umount2(os.fsencode(self.root / "data"), _MNT_DETACH)  # dockerd's own, on itself
        shutil.rmtree(self.root)

    async def copy_image(self, source: Path, reference: str) -> None:
        """Copy an image from another engine."""
        there, here = EngineClient(source), EngineClient(self.socket)
        try:
            async with (
                there.stream("GET", f"/images/{in_path(reference)}/get") as image,
                here.stream("POST", "/images/load", content=image.aiter_raw()) as answer,
            ):
                assert b"Loaded image" in await answer.aread()
        finally:
            await there.close()
            await here.close()
