"""A running site of a few meters, and somebody at its command line."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from metertwin.bus.server import free_port
from metertwin.cli.demo.plan import DemoOptions, site_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.state import StateDirectory


class Terminal:
    """Runs commands against one site."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "metertwin.cli",
            *arguments,
            "--state",
            str(self._state),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out.decode(), error.decode()

    async def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON is anything
        code, out, error = await self.run(*arguments, "--json")
        assert code == 0, error
        return json.loads(out)


@contextlib.asynccontextmanager
async def running_site(root: Path, *, meters_count: int, past_days: int) -> AsyncIterator[Terminal]:
    """Start a site, wait until every twin is in step, and end it afterwards."""
    state = StateDirectory(root)
    options = DemoOptions(
        meters_count, 60.0, None, free_port(), "high", None, state.root, 1, past_days
    )
    containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
    site = LocalSite(state, site_of(options), containers, lambda _: None)
    try:
        await site.start()
        here = Terminal(state.root)
        async with asyncio.timeout(60):
            while (await here.run("health"))[0] != 0:
                pass
            while (await here.json("twins", "--status", "in_step"))["total"] <= meters_count:
                pass  # the transformer has a meter as well
        yield here
    finally:
        await containers.clear()
        await containers.close()
