"""A twin host on a real bus: in step, exact after a crash, fenced, answering and commanding."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.twins.hosting import Site

from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, decode_command, encode
from metertwin.bus.ownership import OwnedElsewhereError
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import serve
from metertwin.bus.subjects import Kind, of_group, subject
from metertwin.core.command import CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError, NotFoundError, UnavailableError
from metertwin.core.ids import MeterId
from metertwin.core.twin import AnswerSource, LedgerLine, RegisterAnswer, TwinDocument, UsageNow
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings, TwinHostSettings

IMPORT, POWER = 0, 1
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_a_published_reading_is_in_the_twin(site: Site) -> None:
    async with site.host():
        await site.publish(("a", 1, [(IMPORT, 1234, 0), (POWER, 50, 0)]), ("b", 1, [(POWER, 7, 0)]))
        await site.until_received(3)
        usage: UsageNow = await site.ask("usage_now", "a", UsageNow)
        assert usage.power_import is not None
        assert usage.energy_import is not None
        assert (usage.power_import.integer, usage.energy_import.integer) == (50, 1234)
        assert usage.source is AnswerSource.TWIN
        assert usage.power_export is None
        document: TwinDocument = await site.ask("twin", "b", TwinDocument)
        assert document.ledger == LedgerLine(MeterId("b"), 1, 1, 0, 0)
        assert document.epoch > 0


async def test_a_host_that_starts_again_goes_on_exactly(site: Site) -> None:
    async with site.host(checkpoint_s=0.0) as (_, task):
        await site.publish(("a", 1, [(POWER, 1, 0), (POWER, 2, 1)]))
        await site.until_received(2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await site.publish(("a", 3, [(POWER, 3, 2)]))
    async with site.host():
        lines = await site.until_received(3)
        assert lines[0] == LedgerLine(MeterId("a"), 3, 3, 0, 0)


async def test_another_host_leaves_an_owned_group_alone(site: Site) -> None:
    async with site.host() as (first, _):
        bus = await site.connect(Role.TWIN_HOST)
        async with Publisher(bus) as publisher:
            own = GroupSettings(id=site.group)
            settings = TwinHostSettings(name="host-2", groups=(own,))
            second = TwinHost(settings, bus, site.clock, publisher)
            with pytest.raises(OwnedElsewhereError, match=r"owned by host-1 .* not by host-2"):
                await second.take(own)
            waiting = asyncio.create_task(second.run())
            await site.publish(("a", 1, [(POWER, 1, 0)]))
            await site.until_received(1)
            assert (list(second.hosted), list(first.hosted)) == ([], [site.group])
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting


async def test_a_superseded_host_steps_down_and_writes_nothing(site: Site) -> None:
    async with site.host(checkpoint_s=0.0) as (first, _):
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        await asyncio.wait_for(_until(lambda: first.hosted[site.group].saved_sequence > 0), 10)
        # The same host started again while the first still runs: the first one is the zombie.
        async with site.host(checkpoint_s=0.0) as (second, _):
            await site.publish(("a", 2, [(POWER, 2, 1)]))
            await asyncio.wait_for(_until(lambda: site.group not in first.hosted), 10)
            lines = await site.until_received(2)
            assert lines[0].taken == 2
            assert site.group in second.hosted


async def test_a_fresh_value_is_read_through_to_the_meter(site: Site) -> None:
    async def read_all(request: Request, meter: str, _deadline_s: float) -> dict[str, int]:
        assert request.name == "read_all"
        await site.publish((meter, 2, [(POWER, 99, 3600)]))
        return {"last_sequence": 2}

    await serve(site.gateway, of_group(site.group, Kind.READ), "gateway", {"read_all": read_all})
    async with site.host():
        await site.publish(("a", 1, [(POWER, 50, 0)]))
        await site.until_received(1)
        site.clock.advance(3600)
        arguments: dict[str, object] = {"obis": "1-0:1.7.0*255"}
        old: RegisterAnswer = await site.ask(
            "read_register", "a", RegisterAnswer, arguments=arguments
        )
        assert (old.reading.integer, old.reading.age_s, old.source) == (50, 3600.0, "twin")
        fresh: RegisterAnswer = await site.ask(
            "read_register", "a", RegisterAnswer, arguments=arguments, max_age_s=60
        )
        assert (fresh.reading.integer, fresh.reading.age_s, fresh.source) == (99, 0.0, "meter")


async def test_an_old_value_is_never_given_as_fresh(site: Site) -> None:
    async with site.host():
        await site.publish(("a", 1, [(POWER, 50, 0)]))
        await site.until_received(1)
        site.clock.advance(120)
        with pytest.raises(UnavailableError, match=r"120 s old, at most 60 s was asked for"):
            await site.ask("usage_now", "a", object, max_age_s=60)


async def test_wrong_requests_are_answered_with_what_is_wrong(site: Site) -> None:
    async with site.host():
        with pytest.raises(NotFoundError, match="no twin of meter zz"):
            await site.ask("twin", "zz", object)
        with pytest.raises(InvalidInputError, match="asked of the whole group"):
            await site.ask("ledger", "a", object)
        with pytest.raises(InvalidInputError, match="read_register do not fit"):
            await site.ask("read_register", "a", object, arguments={"obi": "1-0:1.8.0"})
        with pytest.raises(InvalidInputError, match="not an OBIS code"):
            await site.ask("read_register", "a", object, arguments={"obis": "energy"})
        with pytest.raises(InvalidInputError, match="max_age_s is -1"):
            await site.ask("usage_now", "a", object, max_age_s=-1)


async def test_damaged_readings_do_not_stop_the_others(site: Site) -> None:
    async with site.host() as (host, _):
        async with Publisher(site.gateway) as publisher:
            to = subject(site.group, Kind.READING)
            await publisher.publish(to, b"\x93\x01garbage", f"{site.group}-damaged")
        await site.publish(("a", 1, [(POWER, 1, 0)]))
        await site.until_received(1)
        assert host.refused_count == 1


async def test_a_command_is_accepted_sent_once_and_its_end_known(site: Site) -> None:
    sent = await site.gateway.nc.subscribe(of_group(site.group, Kind.COMMAND))
    async with site.host() as (host, _):
        arguments: dict[str, object] = {"id": "c1", "kind": "reconnect", "issued_by": "test"}
        for _ in range(2):
            outcome: CommandOutcome = await site.ask(
                "command", "a", CommandOutcome, arguments=arguments
            )
            assert outcome.status is CommandStatus.ACCEPTED
        command = decode_command((await sent.next_msg(5)).data)
        hosted = host.hosted[site.group]
        assert (command.id, command.epoch) == ("c1", hosted.epoch)
        assert sent.pending_msgs == 0
        done = CommandOutcome(command.id, command.meter, CommandStatus.EFFECTED, NOON)
        await site.gateway.nc.publish(subject(site.group, Kind.OUTCOME, "a"), encode(done))
        await asyncio.wait_for(_until(lambda: hosted.desk.answer(command.id) == done), 5)


async def test_desired_state_becomes_a_command_and_survives_the_host(site: Site) -> None:
    sent = await site.gateway.nc.subscribe(of_group(site.group, Kind.COMMAND))
    async with site.host():
        answer = await site.ask("desired", "a", dict, arguments={"changes": {"limit_w": 3000}})
        assert answer == {"version": 1, "desired": {"limit_w": 3000}}
        command = decode_command((await sent.next_msg(5)).data)
        assert (command.kind, command.arguments) == ("set_limit", {"limit_w": 3000})
    async with site.host():
        document: TwinDocument = await site.ask("twin", "a", TwinDocument)
        assert (document.desired, document.pending) == ({"limit_w": 3000}, ["limit_w"])


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - the state looked at belongs to the product
        await asyncio.sleep(0.01)
