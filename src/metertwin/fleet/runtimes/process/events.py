"""What keepers say has happened: one file that all of them append to, followed to its end."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from metertwin.fleet.runtimes.port import RuntimeEvent

_LOOK_S = 0.05


async def follow(root: Path, since: datetime | None) -> AsyncIterator[RuntimeEvent]:
    """Yield events from `since`, or from now if it is None; a line is read when it is whole."""
    path = root / "events.jsonl"
    path.touch(mode=0o600)
    with path.open("rb") as first:
        if since is None:
            first.seek(0, 2)
        async for line in _lines(path, first):
            event = msgspec.json.decode(line, type=RuntimeEvent)
            if since is None or event.occurred_at >= since:
                yield event


async def _lines(path: Path, file: BinaryIO) -> AsyncIterator[bytes]:
    began = b""
    while True:
        for piece in file:
            began += piece
            if began.endswith(b"\n"):
                yield began
                began = b""
        if _is_new(path, file) and not began:
            file.close()
            file = path.open("rb")
        else:
            await asyncio.sleep(_LOOK_S)


def _is_new(path: Path, file: BinaryIO) -> bool:
    """Say whether the file was moved aside and another one begun, and nothing is left unread."""
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
