"""Runs one gateway as a process of its own, for tests that kill it. Settings come on stdin."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from metertwin.bus.connection import connect
from metertwin.core.clock import ScaledClock
from metertwin.gateway.config import GatewayConfig
from metertwin.gateway.run import run_gateway


class Settings(msgspec.Struct):
    url: str
    seed_file: str
    config: GatewayConfig
    origin: datetime
    origin_monotonic_s: float
    speed_ratio: float


async def main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
    bus = await connect(settings.url, Path(settings.seed_file), settings.config.name)
    clock = ScaledClock(settings.origin, settings.origin_monotonic_s, settings.speed_ratio)
    await run_gateway(settings.config, bus, clock)


if __name__ == "__main__":  # doctest collection imports it
    asyncio.run(main())
