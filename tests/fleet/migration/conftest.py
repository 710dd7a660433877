"""A bench with both hosts at work, and a customer in the cloud."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fleet.migration.bench import Bench, bench
from tests.fleet.migration.customer import Customer

from metertwin.bus.credentials import Role


@pytest.fixture
async def at_work(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


@pytest.fixture
async def customer(at_work: Bench) -> Customer:
    return Customer(at_work, await at_work.sites.connect(at_work.sites.hub, Role.CLIENT))
