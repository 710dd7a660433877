"""The watch of a rollout looks at each group by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.requests import serve
from metertwin.bus.subjects import Kind, of_group
from metertwin.core.ids import GroupId, lot_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.rollout.answers import Customer, GateShutError
from metertwin.fleet.rollout.gate import Watch
from metertwin.fleet.runtimes.choose import RuntimeChoice


async def _answers(_request: Request, _token: str, _deadline_s: float) -> object:
    return {"host": "new", "in_step": 1, "stale": 0}


async def _hangs(_request: Request, _token: str, _deadline_s: float) -> object:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_group_that_hangs_shuts_the_gate_while_another_answers(
    connect_as: Callable[[Role], Awaitable[Bus]], group: GroupId, tmp_path: Path
) -> None:
    silent, well = GroupId(f"{group}-silent"), GroupId(f"{group}-well")
    hosts = await connect_as(Role.TWIN_HOST)
    containers = await Containers.open(RuntimeChoice.PROCESS, tmp_path)
    services = [
        await serve(hosts, of_group(each, Kind.REQUEST), each, {"host": handler})
        for each, handler in ((silent, _hangs), (well, _answers))
    ]
    try:
        watch = Watch(containers, Customer(await connect_as(Role.CLIENT)))
        with pytest.raises(GateShutError, match=f"Group {silent} does not answer"):
            await watch.look_on([lot_of(silent, 0), lot_of(well, 0)], 30.0)
    finally:
        for service in services:
            await service.stop()
        await containers.close()
