"""Whatever happens in whatever order: one owner at most, every reading once, no command twice.

A walk is given by its seed; one that fails is walked again by its number.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from tests.bus.sites import EDGE, HUB
from tests.fleet.migration.bench import SITES, Bench
from tests.fleet.migration.customer import Customer

from metertwin.core.command import CommandOutcome
from metertwin.core.errors import MeterTwinError
from metertwin.fleet.local.link import LinkState
from metertwin.fleet.moves import migration

STEPS_COUNT = 30
SEEDS = range(5)


@dataclass
class Walk:
    """One walk through all that can happen to a group that is moved."""

    bench: Bench
    customer: Customer
    random: Random
    commands_count: int = 0
    last_epoch: int = 0
    moves: list[asyncio.Task[None]] = field(default_factory=list)

    async def step(self) -> None:
        actions: dict[Callable[[], Awaitable[None]], int] = {
            self.publish: 4,
            self.ask: 4,
            self.command: 3,
            self.move: 4,
            self.move_twice_at_once: 1,
            self.kill: 1,
            self.start: 2,
            self.cut: 1,
            self.restore: 2,
        }
        (action,) = self.random.choices(list(actions), list(actions.values()))
        await action()
        await self.check()

    async def check(self) -> None:
        """Fail if there are two owners, or the claim went back."""
        assert len(self.bench.acting()) <= 1
        epoch = (await self.bench.claim()).epoch
        assert epoch >= self.last_epoch
        self.last_epoch = epoch

    async def publish(self) -> None:
        await self.bench.street.publish(self.random.randint(1, 4))

    async def ask(self) -> None:
        await self.customer.ask_once(within_s=0.5)

    async def command(self) -> None:
        self.commands_count += 1
        with contextlib.suppress(MeterTwinError):
            await self.customer.command(self.commands_count, within_s=0.5)

    async def move(self) -> None:
        """Begin a move, and go on while it is under way or wait for it."""
        self.moves.append(asyncio.create_task(self._move()))
        if self.random.random() < 0.5:
            await asyncio.wait(self.moves)
        else:
            await asyncio.sleep(self.random.uniform(0.0, 0.05))

    async def move_twice_at_once(self) -> None:
        self.moves += [asyncio.create_task(self._move()) for _ in range(2)]
        await asyncio.wait(self.moves)

    async def _move(self) -> None:
        with contextlib.suppress(MeterTwinError):
            await self.bench.move(self.random.choice(SITES))

    async def kill(self) -> None:
        if self.bench.hosts:
            await self.bench.kill(self.random.choice(sorted(self.bench.hosts)))

    async def start(self) -> None:
        if self.bench.sites.link.state is LinkState.WHOLE:
            for site in SITES:
                if site not in self.bench.hosts:
                    await self.bench.start(site)

    async def cut(self) -> None:
        await self.bench.sites.link.set(LinkState.CUT)

    async def restore(self) -> None:
        await self.bench.sites.link.set(LinkState.WHOLE)

    async def end(self) -> None:
        """Put everything right, and check that it is."""
        await self.restore()
        await self.bench.sites.until_linked()
        await self.start()
        await asyncio.gather(*self.moves)
        await self.bench.until_settled()
        await self.check()
        await self.customer.until_balanced()
        said = [await self._said(number + 1) for number in range(self.commands_count)]
        assert len(said) == self.commands_count
        street = self.bench.street
        async with asyncio.timeout(10):
            while len(street.effected) + len(street.refused) < self.commands_count:  # noqa: ASYNC110 - the gateway's
                await asyncio.sleep(0.01)
        assert len({*street.effected, *street.refused}) == self.commands_count
        self.customer.check_answers()

    async def _said(self, number: int) -> CommandOutcome:
        """Return what becomes of a command that is asked for again until it is answered."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(MeterTwinError):
                    return await self.customer.command(number, within_s=2.0)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_walk_ends_with_one_owner_and_a_balanced_ledger(
    at_work: Bench, customer: Customer, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(migration, "_ORDER_WITHIN_S", 1.0)
    walk = Walk(at_work, customer, Random(seed))
    for _ in range(STEPS_COUNT):
        await walk.step()
    await walk.end()
    assert {EDGE, HUB} == {*at_work.hosts}
