"""A cloud and an edge whose one group is cut into shares of two twins."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.fleet.control.conftest import Fleet, started

from metertwin.bus.server import free_port
from metertwin.cli.demo.plan import DemoOptions

METERS_COUNT = 4  # and the feeder's transformer: five twins, so three shares
TWINS_PER_CONTAINER = 2


@pytest.fixture(scope="package")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a cloud with one edge; all twins are in step."""
    root = tmp_path_factory.mktemp("shares") / "cloud"
    options = DemoOptions(
        *(METERS_COUNT, 60.0, None, free_port(), "none", None, root, 1),
        past_days=1,
        edges_count=1,
        twins_per_container=TWINS_PER_CONTAINER,
    )
    with started(options) as fleet:
        asyncio.run(_until_in_step(fleet))
        yield root


async def _until_in_step(fleet: Fleet) -> None:
    async with asyncio.timeout(60):
        while True:
            groups = (await fleet.standing()).groups
            if groups and all(group.twins and group.twins == group.in_step for group in groups):
                return
            await asyncio.sleep(0.1)


@pytest.fixture
async def fleet(cut: Path) -> AsyncIterator[Fleet]:
    """The fleet; controllers a test began are ended after it."""
    fleet = Fleet(cut)
    yield fleet
    for program in fleet.programs:
        await program.kill()
