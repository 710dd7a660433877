"""Health checks of Podman's containers, run when they are due.

Podman leaves the timing of health checks to systemd's timers; where there is no systemd none ever
runs. It can be asked to run one, and keeps the count of failures itself, so this is only a clock.
With timers at work a check runs a little more often, which does no harm.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from metertwin.fleet.runtimes.docker.client import EngineClient, in_path

_MARGIN_S = 10.0
_USUAL_INTERVAL_NS = 30_000_000_000


class PodmanHealth:
    """Runs the checks of the containers it is told of; of another engine's it runs none.

    Args:
        client: The engine.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._clocks: dict[str, asyncio.Task[None]] = {}

    def watch(self, name: str, check: Mapping[str, Any] | None) -> None:
        """Run a container's check from now on, as the engine says it is; the image's own too."""
        clock = self._clocks.get(name)
        if not check or not self._client.is_podman or (clock and not clock.done()):
            return
        every_s = (check.get("Interval") or _USUAL_INTERVAL_NS) / 1e9
        timeout_s = (check.get("Timeout") or _USUAL_INTERVAL_NS) / 1e9
        self._clocks[name] = asyncio.create_task(
            self._tick(name, every_s, timeout_s), name=f"health {name}"
        )

    def forget(self, name: str) -> None:
        """Run a container's check no more."""
        clock = self._clocks.pop(name, None)
        if clock is not None:
            clock.cancel()

    async def _tick(self, name: str, every_s: float, timeout_s: float) -> None:
        path = f"/libpod/containers/{in_path(name)}/healthcheck"
        while True:
            await asyncio.sleep(every_s)
            # It refuses while the container does not run; the next time it may.
            with contextlib.suppress(Exception):
                await self._client.ask("GET", path, timeout_s=timeout_s + _MARGIN_S)

    async def close(self) -> None:
        """Stop all clocks."""
        clocks = list(self._clocks.values())
        self._clocks.clear()
        for clock in clocks:
            clock.cancel()
        await asyncio.gather(*clocks, return_exceptions=True)
