"""A group cut otherwise while it lives: nothing lost, nothing doubled, one owner of every twin."""

import asyncio
from dataclasses import replace

import pytest
from tests.twins.cutting import METERS, OrdererDied, cut_bench
from tests.twins.hosting import Site

from metertwin.bus.buckets import keys_under
from metertwin.bus.credentials import Role
from metertwin.bus.cuts import CutGivenUpError, Cuts
from metertwin.bus.subjects import CHECKPOINT_BUCKET
from metertwin.core.command import CommandKind, CommandOutcome, CommandStatus
from metertwin.core.ids import GroupId, LotId, group_of
from metertwin.core.output import AppOutput
from metertwin.core.twin import LedgerLine, TwinDocument
from metertwin.fleet.moves.recut import NotCuttableError
from metertwin.twins.settings import AppGrant

POWER, PROFILE = 1, 2
QUARTER_S = 900.0
COUNTING = AppGrant("counting", grants=(CommandKind.DISCONNECT,))

pytestmark = pytest.mark.usefixtures("counting_app")


class Street:
    """Meters that are read on and on, into one group or several alike."""

    def __init__(self, *sites: Site) -> None:
        self.sites = sites
        self.rounds_count = 0

    async def read(self) -> None:
        """Read every meter once: its power, and its register at the end of a quarter hour."""
        at = self.rounds_count
        self.rounds_count += 1
        at_s = at * QUARTER_S
        runs = [
            (
                str(meter),
                2 * at + 1,
                [(POWER, 100 * at + n, at_s), (PROFILE, 1000 + at * (n + 1), at_s)],
            )
            for n, meter in enumerate(METERS)
        ]
        for site in self.sites:
            await site.publish(*runs, received_s=at_s)

    async def check(self, site: Site) -> None:
        """Check that every reading was applied once."""
        lines = await site.until_received(2 * self.rounds_count * len(METERS))
        count = 2 * self.rounds_count
        assert lines == [LedgerLine(meter, count, count, 0, 0) for meter in METERS]


async def test_cut_again_and_again_it_is_as_if_it_never_had_been(site: Site) -> None:
    never_cut = replace(site, group=GroupId(f"{site.group}-whole"))
    street = Street(site, never_cut)
    async with cut_bench(site, (COUNTING,)) as bench, cut_bench(never_cut, (COUNTING,)) as whole:
        await bench.begin(0)
        await whole.begin(0)
        for each in (site, never_cut):
            await each.ask("set_count_limit", "_", dict, {"limit_wh": 77})
            await each.ask("desired", "d", dict, {"changes": {"limit_w": 900}, "id": "d1"})
        is_over = False

        async def read_on() -> None:
            while not is_over:
                await street.read()

        async def ask_on() -> int:
            asked_count = 0
            while not is_over:
                facts = await site.ask("host", "_", dict)  # waits, and is never refused
                assert facts["twins"] == len(METERS)
                for meter in METERS:
                    await site.ask("twin", meter, dict)
                    asked_count += 1
            return asked_count

        reading, asking = asyncio.create_task(read_on()), asyncio.create_task(ask_on())
        for size in (2, 1, 3, 0, 2, 0):
            rounds_count = street.rounds_count
            await bench.cut(size)
            assert await bench.acting() == {each.lot for each in bench.settings(size).shares()}
            while street.rounds_count < rounds_count + 2:  # noqa: ASYNC110 - another task counts
                await asyncio.sleep(0)
        is_over = True
        await reading
        assert await asking > 0
        for each in (site, never_cut):
            await street.check(each)
        assert bench.counted() == whole.counted()
        for meter in METERS:
            cut = await site.ask("twin", meter, TwinDocument)
            uncut = await never_cut.ask("twin", meter, TwinDocument)
            assert cut.reported == uncut.reported
            assert (cut.desired, cut.desired_version) == (uncut.desired, uncut.desired_version)
        outputs, events = await site.kept()
        outputs_uncut, events_uncut = await never_cut.kept()
        assert _plain(outputs) == _plain(outputs_uncut)
        assert len(events) == len(events_uncut)
        windows = [hosted.apps.window for each in (bench, whole) for hosted in each.all_hosted()]
        firsts = [{obis: each.first_us(obis) for obis in each.wanted_days} for each in windows]
        assert firsts[0] == firsts[1]


def _plain(outputs: list[AppOutput]) -> list[tuple[object, ...]]:
    return sorted((each.meter or "", each.name, each.at, str(each.value)) for each in outputs)


STEPS = (
    "is about to be cut",
    "holding",
    "settling",
    "composing",
    "deciding",
    "is decided",
    "are passed on",
    "is served",
)


@pytest.mark.parametrize(
    "sizes", [(0, 2), (2, 3), (2, 0)], ids=lambda sizes: "to".join(map(str, sizes))
)
@pytest.mark.parametrize("step", STEPS)
async def test_an_orderer_that_dies_at_any_step_leaves_one_owner_of_every_twin(
    site: Site, step: str, sizes: tuple[int, int]
) -> None:
    size, wanted = sizes
    is_decided = STEPS.index(step) >= STEPS.index("is decided")
    street = Street(site)

    def say(words: str) -> None:
        if step in words:
            raise OrdererDied

    async with cut_bench(site, (COUNTING,)) as bench:
        await bench.begin(size)
        await street.read()
        await street.check(site)
        asking: list[asyncio.Task[object]] = [
            asyncio.create_task(site.ask("twin", "c", TwinDocument)) for _ in range(5)
        ]
        with pytest.raises(OrdererDied):
            await bench.cut(wanted, say)
        asking += [asyncio.create_task(site.ask("twin", "c", TwinDocument)) for _ in range(5)]
        asking += [asyncio.create_task(site.ask("host", "_", dict)) for _ in range(5)]
        await street.read()
        await asyncio.gather(*asking)  # who asks waits, and is never refused
        bench.size = wanted if is_decided else size
        await bench.until_served(bench.size)
        await street.check(site)
        if not is_decided:
            await bench.cut(wanted)  # the next one brings it about
        await street.read()
        await street.check(site)
        assert await bench.acting() == {each.lot for each in bench.settings(wanted).shares()}
        counted = {meter: bench.counted()[meter] for meter in METERS}
        assert {len(quarters) for quarters in counted.values()} == {street.rounds_count - 1}  # type: ignore[arg-type]


@pytest.mark.parametrize("step", ["settling", "deciding", "is decided", "are passed on"])
async def test_an_owner_that_ends_meanwhile_and_comes_back_does_not_own_twice(
    site: Site, step: str
) -> None:
    street = Street(site)

    def say(words: str) -> None:
        if step in words:
            raise OrdererDied

    async with cut_bench(site, (COUNTING,)) as bench:
        await bench.begin(3)
        await street.read()
        await street.check(site)
        with pytest.raises(OrdererDied):
            await bench.cut(2, say)
        (name,) = [each for each in bench.hosts if each.endswith("twin-host_" + f"{site.group}_1")]
        await bench.hosts.pop(name).end()
        first = bench.settings(3).shares()[0]
        await bench.start(name, first)
        is_decided = STEPS.index(step) >= STEPS.index("is decided")
        bench.size = 2 if is_decided else 3
        await bench.until_served(bench.size)
        await street.read()
        await street.check(site)
        if not is_decided:
            await bench.cut(2)
        await street.read()
        await street.check(site)


async def test_what_an_owner_went_on_from_cannot_be_decided_any_more(site: Site) -> None:
    street = Street(site)
    async with cut_bench(site, (COUNTING,)) as bench:
        await bench.begin(0)
        await street.read()
        await street.check(site)
        ((name, host),) = bench.hosts.items()
        cuts = Cuts(await site.connect(Role.FLEET), site.group)
        shares = bench.settings(2).shares()
        order = await cuts.begin(0, 2, {shares[0].lot: name}, {each.lot: "h" for each in shares})
        desk = host.engine.cut_desk
        until = await desk.hold(site.group, order.number)
        left = await desk.settle(site.group, order.number, until)
        await bench.hosts.pop(name).end()
        await bench.start(name, bench.settings(0))
        await bench.until_served(0)
        with pytest.raises(CutGivenUpError, match="an owner went on"):
            await cuts.decide(order.number, {LotId(site.group): left})
        await street.read()
        await street.check(site)


async def test_holes_and_stale_gateways_are_known_after_a_cut(site: Site) -> None:
    async with cut_bench(site) as bench:
        await bench.begin(0)
        await site.publish(("c", 1, [(POWER, 1, 0.0)]), epoch=2)
        await site.publish(("c", 4, [(POWER, 4, 3.0)]), epoch=2)
        await site.publish(("d", 1, [(POWER, 9, 0.0)]), epoch=1)  # a gateway that was replaced
        await site.until_received(4)
        for size, stale_count in ((2, 1), (3, 1), (0, 1)):
            await bench.cut(size)
            facts = await site.ask("host", "_", dict)
            assert facts["stale"] == stale_count
            line = (await site.ask("twin", "c", TwinDocument)).ledger
            assert (line.received, line.taken, line.missing) == (4, 2, 2)
        await site.publish(("d", 2, [(POWER, 9, 1.0)]), epoch=1)
        await site.publish(("c", 2, [(POWER, 2, 1.0), (POWER, 3, 2.0)]), epoch=2)
        async with asyncio.timeout(10):
            while (await site.ask("twin", "c", TwinDocument)).ledger.missing:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await site.ask("host", "_", dict))["stale"] == 2
        power = (await site.ask("twin", "c", TwinDocument)).reported["1-0:1.7.0*255"]
        assert power.value == 4  # what filled the hole is older


async def test_a_command_is_remembered_and_its_end_learned(site: Site) -> None:
    async with cut_bench(site, (COUNTING,)) as bench:
        await bench.begin(0)
        wanted: dict[str, object] = {
            "id": f"{site.group}-1",
            "kind": CommandKind.SET_LIMIT,
            "issued_by": "test",
            "arguments": {"limit_w": 1000},
        }
        first = await site.ask("command", "c", CommandOutcome, wanted)
        assert first.status is CommandStatus.ACCEPTED
        await bench.cut(2)
        assert await site.ask("command", "c", CommandOutcome, wanted) == first
        (hosted,) = [each for each in bench.all_hosted() if each.group.settings.share == 2]
        assert [command.id for command in hosted.desk.open_commands()] == [wanted["id"]]
        await bench.cut(0)
        assert await site.ask("command", "c", CommandOutcome, wanted) == first


async def test_an_app_that_cannot_be_cut_is_told_before_anything_is_begun(site: Site) -> None:
    config = {"needs_whole_group": True}
    must_see_all = AppGrant("counting", grants=(CommandKind.DISCONNECT,), config=config)
    async with cut_bench(site, (must_see_all,)) as bench:
        await bench.begin(0)
        with pytest.raises(NotCuttableError, match="must see all twins of group"):
            await bench.cut(2)
        assert await bench.acting() == {site.group}


async def test_a_twin_that_no_share_would_have_is_told_of(site: Site) -> None:
    async with cut_bench(site) as bench:
        await bench.begin(0)
        await site.publish(("stranger", 1, [(POWER, 1, 0.0)]))
        await site.until_received(1)
        with pytest.raises(NotCuttableError, match="Meter stranger has a twin"):
            await bench.cut(2)


async def test_what_was_kept_of_earlier_cuts_is_swept_up(site: Site) -> None:
    async with cut_bench(site, (COUNTING,)) as bench:
        await bench.begin(0)
        for size in (2, 3, 0):
            await bench.cut(size)
        bus = bench.host_of(site.group).bus
        bucket = await bus.js.key_value(CHECKPOINT_BUCKET)

        async def kept() -> set[str]:
            keys = await keys_under(bucket, "twins.")
            parts = [key.split(".") for key in keys]
            return {part[2] for part in parts if group_of(LotId(part[1])) == site.group}

        async with asyncio.timeout(10):
            while await kept() != {"cut-3"}:
                site.clock.advance(1.0)
                await asyncio.sleep(0.05)
