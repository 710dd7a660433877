"""What apps conclude after a crash: the same, from a checkpoint and from the stream alone."""

import asyncio
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.twins.conftest import NOON
from tests.twins.hosting import MakeBatch, Site

from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.tail import Delivered
from metertwin.bus.wire import encode_readings
from metertwin.core.clock import ManualClock
from metertwin.core.command import CommandKind
from metertwin.core.errors import NotFoundError, UnavailableError
from metertwin.core.ids import GroupId, MeterId
from metertwin.twins.apps.host import AppHost
from metertwin.twins.checkpoint import encode_checkpoint, restore_checkpoint
from metertwin.twins.follow import apply_delivered
from metertwin.twins.group import TwinGroup
from metertwin.twins.settings import AppGrant, GroupSettings

PROFILE = 2
COUNTING = AppGrant("counting", grants=(CommandKind.DISCONNECT,), config={"limit_wh": 50})
GROUP = GroupId("g1")


class Hosted:
    """A group and its apps without a bus."""

    def __init__(self, *meters: str) -> None:
        ids = tuple(MeterId(meter) for meter in meters)
        self.group = TwinGroup(GroupSettings(id=GROUP, meters=ids, apps=(COUNTING,)))
        self.apps = AppHost(self.group, ManualClock(NOON))

    def apply(self, messages: list[Delivered]) -> None:
        apply_delivered([self.group], messages)
        self.apps.on_applied()

    def state(self) -> tuple[bytes, dict[str, bytes]]:
        checkpoint = encode_checkpoint(self.group, self.apps)
        return self.apps.apps[0].at_work().save(), dict(checkpoint.blocks)

    def said(self) -> list[tuple[object, ...]]:
        """Return outputs and what else was said, without when it was said."""
        return sorted(
            (output.meter, output.name, output.at, output.revision, str(output.value))
            for effects in self.apps.effects
            for output in effects.outputs
        )


stream = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 2000)),
    min_size=1,
    max_size=30,
    unique_by=lambda each: each[:2],  # nothing is corrected: revisions depend on what was told
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(drawn=stream, cut=st.integers(0, 30), at=st.integers(0, 30))
def test_a_replay_from_any_checkpoint_ends_in_the_same_state(
    counting_app: Path, make_batch: MakeBatch, drawn: list[tuple[str, int, int]], cut: int, at: int
) -> None:
    messages = delivered(make_batch, drawn)
    straight, stepwise = Hosted("a", "b"), Hosted("a", "b")
    straight.apply(messages)
    for message in messages[:cut]:
        stepwise.apply([message])
    checkpoint = encode_checkpoint(stepwise.group, stepwise.apps)
    for message in messages[cut:]:
        stepwise.apply([message])
    assert straight.state() == stepwise.state()
    assert straight.said() == stepwise.said()

    restored = Hosted("b", "a")  # the site lists them in another order today
    restore_checkpoint(restored.group, restored.apps, checkpoint)
    restored.apply(messages[min(at, cut) :])  # some of them again
    assert restored.state()[0] == straight.state()[0]
    assert restored.said() == straight.said()  # what was pending came along in the checkpoint


def delivered(make_batch: MakeBatch, drawn: list[tuple[str, int, int]]) -> list[Delivered]:
    numbers = {"a": 0, "b": 0}
    messages = []
    for sequence, (meter, quarter, integer) in enumerate(drawn, start=1):
        numbers[meter] += 1
        batch = make_batch((meter, numbers[meter], [(PROFILE, integer, quarter * 900.0)]))
        octets = encode_readings(replace(batch, group=GROUP))
        messages.append(Delivered(sequence, f"mt.{GROUP}.reading._", octets))
    return messages


_PROCESS = """
    import asyncio, sys
    from datetime import UTC, datetime
    from pathlib import Path
    import msgspec, structlog, uvloop
    from metertwin.bus.connection import connect
    from metertwin.bus.publish import Publisher
    from metertwin.core.clock import ManualClock
    from metertwin.twins.host import TwinHost
    from metertwin.twins.settings import TwinHostSettings

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def main():
        settings = msgspec.json.decode(sys.argv[3].encode(), type=TwinHostSettings)
        bus = await connect(sys.argv[1], Path(sys.argv[2]), "twin-host")
        clock = ManualClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
        async with Publisher(bus) as publisher:
            await TwinHost(settings, bus, clock, publisher).run()

    uvloop.run(main())
"""
LIMITS_COUNT = 4
QUARTERS_COUNT = 160


@pytest.mark.fault
async def test_a_killed_host_loses_and_doubles_nothing_its_apps_said(
    site: Site, bus_server: BusServer, counting_app: Path, request: pytest.FixtureRequest
) -> None:
    host = Killable(bus_server, site, counting_app)
    request.addfinalizer(host.end)
    await host.start()

    async def load() -> None:
        for quarter in range(QUARTERS_COUNT):
            reading = (PROFILE, 1000 + quarter * (quarter + 1) // 2, quarter * 900.0)
            await site.publish(("a", 1 + quarter, [reading]), received_s=reading[2])
            await asyncio.sleep(0.005)  # a load, not a flood

    loading = asyncio.create_task(load())
    for limit_wh in range(1, LIMITS_COUNT + 1):
        answer = await patiently(site, {"limit_wh": limit_wh * 1000})
        assert answer["limit_wh"] == limit_wh * 1000
        await host.kill()  # right after the answer
        await host.start()
    await loading
    counted = await patiently_counted(site, QUARTERS_COUNT - 1)
    await host.kill()
    # 1 + 2 + ... + 159 Wh, and the limit of the last answer
    assert counted["energy"] == f"{159 * 160 / 2 / 1000:g}"
    assert counted["limit_wh"] == LIMITS_COUNT * 1000
    outputs, _ = await site.kept()
    energies = [output.at for output in outputs if output.name == "energy"]
    assert len(energies) == len(set(energies)) == QUARTERS_COUNT - 1
    assert len([output for output in outputs if output.name == "limit"]) == LIMITS_COUNT


class Killable:
    """A twin host as a process of its own."""

    def __init__(self, server: BusServer, site: Site, packages: Path) -> None:
        self._server, self._site, self._packages = server, site, packages
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        app = {"name": "counting", "grants": ["disconnect"], "config": {"limit_wh": 10_000}}
        groups = f'[{{"id": "{self._site.group}", "meters": ["a"], "apps": [{as_json(app)}]}}]'
        settings_json = f'{{"name": "h", "groups": {groups}, "checkpoint_every_s": 0.05}}'
        here = Path(__file__).parent / "counting_app"
        self._process = subprocess.Popen(  # noqa: ASYNC220 - must be killed, not awaited
            [
                sys.executable,
                "-c",
                textwrap.dedent(_PROCESS),
                self._server.url,
                str(self._server.seed(Role.TWIN_HOST)),
                settings_json,
            ],
            env={"PYTHONPATH": f"{self._packages}:{here}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def as_json(plain: object) -> str:
    return str(plain).replace("'", '"')


async def patiently(site: Site, arguments: dict[str, object]) -> dict[str, int]:
    async with asyncio.timeout(30):
        while True:
            try:
                return await site.ask("set_count_limit", "_", dict[str, int], arguments)
            except UnavailableError:
                await asyncio.sleep(0.02)


async def patiently_counted(site: Site, quarters: int) -> dict[str, object]:
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await site.ask("counted", "a", dict[str, object])
            except (UnavailableError, NotFoundError):  # it starts, or it has applied nothing yet
                answer = {"quarters": 0}
            if answer["quarters"] == quarters:
                return answer
            await asyncio.sleep(0.02)
