"""A rollout by hand that is killed, by itself, beside another one, beside a controller.

Every group has one owner at each moment, whoever asks is answered, and whoever comes next, a
rollout or a controller, brings the site to one host.
"""

import re
import signal
from dataclasses import dataclass

import pytest
from tests.fleet.control.conftest import Fleet, Program

from metertwin.bus.subjects import Kind
from metertwin.core.ids import GroupId, SiteId

pytestmark = pytest.mark.fault

F1, F2 = "feeder-1", "feeder-2"
EDGE_OTHERS = {
    "edge1-twin-host": "edge1-twin-host-2",
    "edge1-twin-host-2": "edge1-twin-host",
}
OTHERS = {
    "metertwin:0.1.0": "metertwin:next",
    "metertwin:next": "metertwin:0.1.0",
    "metertwin:third": "metertwin:0.1.0",
}

# What a rollout to two groups says, each just before it does it: its steps.
BEFORE_A_HAND_OVER = (
    r"rehearsing tariff over the past of feeder-1",
    r"rehearsing tariff over the past of feeder-2",
    r"0 differences in the rehearsal",
    r"starting edge1-twin-host",
)
AFTER_ONE = (
    r"gets ready for feeder-1",
    r"holds feeder-1",
    r"serves feeder-1",
    r"watching the canary",
    r"gets ready for feeder-2",
    r"holds feeder-2",
    r"serves feeder-2",
    r"watching the rest",
    r"ending edge1-twin-host",
)
STEPS = (*BEFORE_A_HAND_OVER, *AFTER_ONE)
# The one at which each host has a group. A controller, which rolls out by the same steps, is killed
# at more of them (test_faults), and a mover at each step of a hand-over (tests/fleet/migration).
STEP_BETWEEN = r"watching the canary"
# And of what one says that goes back from the watch over all: each host has a group.
STEP_BACK = r"serves feeder-2"
# And of what it says where the new host died: it is ended for certain, and the claims are given.
STEP_FROM_THE_DEAD = r"giving feeder-1 to edge1-twin-host"


@dataclass(frozen=True)
class Standing:
    """How the edge stands: its owner, and what that runs from."""

    host: str
    image: str


async def edge(fleet: Fleet) -> Standing:
    """Return how the edge stands; fails unless one host has both groups."""
    groups = (await fleet.standing()).groups
    (host,) = {group.host for group in groups}
    (image,) = {group.image for group in groups}
    assert host is not None
    assert image is not None
    return Standing(host, image)


async def begin(fleet: Fleet, image: str, watch_s: float = 0.5) -> Program:
    return await fleet.begin(
        *("rollout", "start", F1, F2, "--image", image, "--watch", str(watch_s))
    )


async def finished(program: Program) -> int:
    code = await program.process.wait()
    await program.listened()
    return code


async def kill_at(fleet: Fleet, program: Program, step: str, image: str) -> None:
    """Kill a rollout at a step, and let the next one go on to its end."""
    await program.until_said(step)
    await program.kill()
    await fleet.owned()  # each group has one owner, whatever was left behind
    following = await begin(fleet, image)
    assert await finished(following) == 0, "".join(following.said)
    await check_one_host(fleet, image)


async def check_one_host(fleet: Fleet, image: str) -> None:
    """Both groups are one host's, as claims and hosts say, and the other one is gone."""
    standing = await edge(fleet)
    assert standing.image == image
    owned = await fleet.owned()
    assert owned == {"cloud-twin-host": [], standing.host: [F1, F2]}
    await fleet.until_nobody_waits()


async def test_the_steps_of_a_rollout_are_these(fleet: Fleet) -> None:
    async with fleet.reach() as reach:
        for group in (F1, F2):  # other tests may have left them in the cloud
            await reach.move(GroupId(group), SiteId("edge1"))
    image = OTHERS[(await edge(fleet)).image]
    program = await begin(fleet, image)
    assert await finished(program) == 0, "".join(program.said)
    said = [line for line in program.said if not line.startswith(("waiting", "promoted"))]
    assert len(said) == len(STEPS), "".join(said)
    for line, step in zip(said, STEPS, strict=True):
        assert re.search(step, line)
    await check_one_host(fleet, image)


async def test_a_rollout_killed_in_the_middle_is_gone_on_with_by_the_next(fleet: Fleet) -> None:
    image = OTHERS[(await edge(fleet)).image]
    async with fleet.asked() as probe:
        program = await begin(fleet, image)
        await kill_at(fleet, program, STEP_BETWEEN, image)
        assert (probe.failed_count, (await probe.tally(Kind.REQUEST)).missing) == (0, 0)


# An app breaks once it has the second group: both are with the new host by then.
BREAKS_LATE = (
    "from metertwin.apps.tariff.app import app as module",
    "def broken(self, view):",
    "    if view.group == 'feeder-2': raise ValueError('no more')",
    "    return module.NOTHING",
    "if 'twin-host' in sys.argv: module.TariffApp.on_time = broken",
    "if 'twin-host' in sys.argv: module.TariffApp.on_intervals = broken",
)


async def test_going_back_killed_halfway_is_gone_on_with_by_the_next(fleet: Fleet) -> None:
    image = OTHERS[(await edge(fleet)).image]
    await fleet.image("metertwin:broken", *BREAKS_LATE)
    async with fleet.asked() as probe:
        program = await begin(fleet, "metertwin:broken", watch_s=3.0)
        await program.until_said("watching the rest")
        await kill_at(fleet, program, STEP_BACK, image)
        assert (probe.failed_count, (await probe.tally(Kind.REQUEST)).missing) == (0, 0)


async def test_taking_groups_from_a_dead_host_is_gone_on_with_by_the_next(fleet: Fleet) -> None:
    before = await edge(fleet)
    image = OTHERS[before.image]
    is_ill = fleet.root / "is-ill"
    is_ill.unlink(missing_ok=True)
    await fleet.image(
        "metertwin:mortal",
        "from pathlib import Path",
        f"if 'twin-host' in sys.argv and Path({str(is_ill)!r}).exists(): sys.exit('no luck')",
    )
    program = await begin(fleet, "metertwin:mortal", watch_s=3.0)
    await program.until_said("watching the rest")
    is_ill.touch()
    await fleet.kill_host(EDGE_OTHERS[before.host])
    await program.until_said("going back")
    await program.until_said(STEP_FROM_THE_DEAD)
    await program.kill()
    following = await begin(fleet, image)
    assert await finished(following) == 0, "".join(following.said)
    await check_one_host(fleet, image)
    async with fleet.asked() as probe:
        assert (await probe.tally(Kind.REQUEST)).missing == 0


async def test_before_another_image_a_rollout_that_died_is_taken_back(fleet: Fleet) -> None:
    before = await edge(fleet)
    await fleet.image("metertwin:third")
    program = await begin(fleet, OTHERS[before.image])
    await program.until_said("watching the canary")
    await program.kill()
    following = await begin(fleet, "metertwin:third")
    assert await finished(following) == 0, "".join(following.said)
    assert f"feeder-1 goes back to {before.host} first: an earlier rollout ended halfway\n" in (
        following.said
    )
    await check_one_host(fleet, "metertwin:third")


async def test_of_two_rollouts_of_one_site_the_second_is_refused(fleet: Fleet) -> None:
    image = OTHERS[(await edge(fleet)).image]
    async with fleet.asked() as probe:
        first = await begin(fleet, image, watch_s=4.0)
        await first.until_said("rehearsing")
        code, out, said = await fleet.run(
            *("rollout", "start", F2, "--image", "metertwin:0.1.0", "--term", "1")
        )
        assert (code != 0, out) == (True, "")
        assert "At site edge1 " in said
        assert " is at work: a rollout to feeder-1, feeder-2. A site's twin hosts are" in said
        assert await finished(first) == 0, "".join(first.said)
        await check_one_host(fleet, image)
        assert (probe.failed_count, (await probe.tally(Kind.REQUEST)).missing) == (0, 0)


async def test_two_rollouts_begun_at_one_instant_do_not_meet(fleet: Fleet) -> None:
    image = OTHERS[(await edge(fleet)).image]
    async with fleet.asked() as probe:
        programs = [await begin(fleet, image, watch_s=3.0) for _ in range(2)]
        codes = [await finished(program) for program in programs]
        assert min(codes) == 0, [program.said for program in programs]
        for code, program in zip(codes, programs, strict=True):
            assert code == 0 or "is at work: a rollout to" in "".join(program.said)
        await check_one_host(fleet, image)
        assert (probe.failed_count, (await probe.tally(Kind.REQUEST)).missing) == (0, 0)


async def test_a_rollout_that_stood_still_leaves_the_site_to_the_next(fleet: Fleet) -> None:
    image = OTHERS[(await edge(fleet)).image]
    first = await begin(fleet, image)
    await first.until_said("watching the canary")
    first.process.send_signal(signal.SIGSTOP)
    following = await begin(fleet, image)
    assert await finished(following) == 0, "".join(following.said)
    first.process.send_signal(signal.SIGCONT)
    assert await finished(first) != 0
    assert "somebody else went on at site edge1 meanwhile" in "".join(first.said)
    await check_one_host(fleet, image)


async def test_beside_a_controller_a_rollout_by_hand_is_refused(fleet: Fleet) -> None:
    before = await edge(fleet)
    file = fleet.file(f"sites: {{edge1: {{image: '{before.image}'}}}}")
    watching = await fleet.start("--watch", "-f", str(file))
    await watching.until_said("all is as revision")
    program = await begin(fleet, OTHERS[before.image])
    assert await finished(program) != 0
    said = "".join(program.said)
    assert "keeps the fleet as revision " in said
    assert "write the image into the file and `metertwin apply` it" in said
    assert await edge(fleet) == before


async def test_a_controller_that_comes_later_waits_for_a_rollout_by_hand(fleet: Fleet) -> None:
    before = await edge(fleet)
    file = fleet.file(f"sites: {{edge1: {{image: '{before.image}'}}}}")
    code, _, said = await fleet.run("apply", "-f", str(file), "--term", "1")
    assert code == 0, said
    program = await begin(fleet, OTHERS[before.image], watch_s=6.0)
    await program.until_said("watching the canary")
    watching = await fleet.start("--watch")
    line = await watching.until_said("tried again in")
    assert "At site edge1 " in line
    assert "is at work: a rollout to feeder-1, feeder-2." in line
    assert await finished(program) == 0, "".join(program.said)
    # Then what was rolled out by hand is drift to the controller, as ever.
    await fleet.until_reached()
    await watching.end()
    await check_one_host(fleet, before.image)
