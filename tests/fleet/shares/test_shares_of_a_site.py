"""Shares of a group in processes of their own: asked as one group, moved as one, and kept so."""

import asyncio
import json
from typing import Any

import pytest
from tests.fleet.control.conftest import Fleet
from tests.fleet.rollout.conftest import add_image

AT_EDGE = {f"feeder-1/{share}": f"edge1-twin-host_feeder-1_{share}" for share in (1, 2, 3)}
IN_CLOUD = {f"feeder-1/{share}": f"cloud-twin-host_feeder-1_{share}" for share in (1, 2, 3)}
STANDS_IN = "cloud-twin-host"


async def ask(fleet: Fleet, *arguments: str) -> Any:  # noqa: ANN401 - JSON is anything
    code, out, said = await fleet.run(*arguments, "--json")
    assert code == 0, said
    return json.loads(out)


async def until_balanced(fleet: Fleet, above_count: int = 0) -> dict[str, int]:
    """Return the ledger once all that was read, more than so much, is applied and stored."""
    async with asyncio.timeout(60):
        while True:
            total: dict[str, int] = (await ask(fleet, "ledger"))["total"]
            if total["balanced"] and total["received"] > above_count:
                return total


async def parts(fleet: Fleet) -> set[str]:
    return await fleet.up()


async def test_each_share_has_a_process_and_the_command_line_sees_one_group(fleet: Fleet) -> None:
    assert await fleet.hosts() == AT_EDGE
    assert await parts(fleet) == {STANDS_IN, *AT_EDGE.values()}
    twins = await ask(fleet, "twins")
    assert twins["total"] == 5
    meters = [item["meter"] for item in twins["items"]]
    assert (await ask(fleet, "twin", meters[-1]))["meter"] == meters[-1]
    await until_balanced(fleet)
    bill = await ask(fleet, "request", meters[0], "bill_so_far")
    assert bill


async def test_a_group_that_is_cut_moves_with_its_containers_and_back(fleet: Fleet) -> None:
    before = await until_balanced(fleet)
    moves = await ask(fleet, "migrate", "feeder-1", "--to", "cloud")
    assert {move["group"]: move["new_host"] for move in moves} == IN_CLOUD
    assert await fleet.hosts() == IN_CLOUD
    assert await parts(fleet) == {STANDS_IN, *IN_CLOUD.values()}
    assert (await ask(fleet, "twins"))["total"] == 5
    assert await ask(fleet, "migrate", "feeder-1", "--to", "cloud") == []
    back = await ask(fleet, "migrate", "feeder-1", "--to", "edge1")
    assert {move["group"]: move["new_host"] for move in back} == AT_EDGE
    assert await parts(fleet) == {STANDS_IN, *AT_EDGE.values()}
    after = await until_balanced(fleet, above_count=before["received"])
    assert after["duplicate"] == 0


@pytest.mark.fault
async def test_no_container_is_started_for_a_move_that_a_cut_link_forbids(fleet: Fleet) -> None:
    before = await parts(fleet)
    assert (await fleet.run("link", "cut", "edge1"))[0] == 0
    try:
        code, _, said = await fleet.run("migrate", "feeder-1", "--to", "cloud")
        assert (code, "or its link is cut" in said) == (1, True), said
        assert await parts(fleet) == before
    finally:
        await fleet.run("link", "restore", "edge1")
    await fleet.until_balanced()
    assert await fleet.hosts() == AT_EDGE


@pytest.mark.fault
async def test_a_fleet_file_moves_the_shares_and_starts_one_that_is_gone(fleet: Fleet) -> None:
    file = fleet.file("groups: {feeder-1: {at: cloud, twins_per_container: 2}}")
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert code == 0, said
    assert await fleet.hosts() == IN_CLOUD
    assert await parts(fleet) == {STANDS_IN, *IN_CLOUD.values()}
    async with fleet.reach() as reach:
        await reach.containers.kill("cloud-twin-host_feeder-1_2")
        await reach.containers.runtime.remove(reach.containers._name("cloud-twin-host_feeder-1_2"))
    file = fleet.file("groups: {feeder-1: {at: edge1}}")
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert code == 0, said
    assert await fleet.hosts() == AT_EDGE
    assert await parts(fleet) == {STANDS_IN, *AT_EDGE.values()}
    await until_balanced(fleet)


async def test_a_rollout_tries_one_share_first_and_then_the_others(fleet: Fleet) -> None:
    code, out, said = await fleet.run(
        *("rollout", "start", "feeder-1", "--image", "metertwin:next"),
        *("--watch", "0.5", "--canary", "0.34", "--json"),
    )
    assert code == 0, said
    result = json.loads(out)
    assert result["outcome"] == "promoted"
    second = {lot: host.replace("twin-host", "twin-host-2") for lot, host in AT_EDGE.items()}
    assert await fleet.hosts() == second
    assert await parts(fleet) == {STANDS_IN, *second.values()}
    # The canary's host alone was started and watched before the others' were.
    lines = said.splitlines()
    starting = [n for n, line in enumerate(lines) if line.startswith("starting edge1-twin-host-2")]
    assert starting[0] < lines.index("watching the canary for 0.5 s") < starting[1]
    assert [each["app"] for each in result["rehearsed"]] == ["tariff"]
    await until_balanced(fleet)


async def test_an_image_that_crashes_in_one_share_is_taken_back_from_all(fleet: Fleet) -> None:
    before = await fleet.hosts()
    async with fleet.reach() as reach:
        # It runs until the last share of the group comes to it.
        lines = ("import os", "if 'feeder-1_3' in ' '.join(sys.argv): os._exit(7)")
        await add_image(reach.containers, "metertwin:crash", *lines)
    code, out, said = await fleet.run(
        *("rollout", "start", "feeder-1", "--image", "metertwin:crash"),
        *("--watch", "0.2", "--canary", "0.34", "--json"),
    )
    assert code == 1, said
    result = json.loads(out)
    assert result["outcome"] == "rolled_back"
    assert len(result["moves"]) == 2  # the canary's, there and back
    assert "ends again and again" in result["reason"]
    assert await fleet.hosts() == before
    assert await parts(fleet) == {STANDS_IN, *map(str, before.values())}
    await until_balanced(fleet)


async def test_a_move_takes_the_image_along(fleet: Fleet) -> None:
    async def images() -> set[str | None]:
        return {group.image for group in (await fleet.standing()).groups}

    assert await images() == {"metertwin:next"}
    for site in ("cloud", "edge1"):
        await ask(fleet, "migrate", "feeder-1", "--to", site)
        assert await images() == {"metertwin:next"}


async def test_one_share_alone_can_be_named_and_one_that_is_not_there_is_told(fleet: Fleet) -> None:
    code, _, said = await fleet.run("rollout", "start", "feeder-1/9", "--image", "metertwin:next")
    assert code == 1
    assert "has no share 'feeder-1/9'; it has feeder-1/1, feeder-1/2, feeder-1/3" in said


async def test_what_one_share_runs_from_already_is_rehearsed_for_the_others(fleet: Fleet) -> None:
    options = ("--image", "metertwin:0.1.0", "--watch", "0.2", "--json")
    code, _, said = await fleet.run("rollout", "start", "feeder-1/3", *options)
    assert code == 0, said
    code, out, said = await fleet.run("rollout", "start", "feeder-1", *options)
    assert code == 0, said
    assert [each["app"] for each in json.loads(out)["rehearsed"]] == ["tariff"]
    code, out, said = await fleet.run("rollout", "start", "feeder-1", *options)
    assert (code, json.loads(out)["rehearsed"]) == (0, []), said
    assert "nothing to rehearse: the image is the same" in said


async def test_a_move_does_not_take_the_hosts_of_a_rollout_away(fleet: Fleet) -> None:
    rollout = await fleet.begin(
        *("rollout", "start", "feeder-1", "--image", "metertwin:next", "--watch", "3")
    )
    await rollout.until_said("watching the canary")
    code, _, said = await fleet.run("migrate", "feeder-1", "--to", "cloud")
    assert code == 1
    assert "At site edge1 " in said
    assert "is at work: a rollout to feeder-1/1, feeder-1/2, feeder-1/3." in said
    assert await rollout.process.wait() == 0
    await rollout.listened()
    assert {str(host).split("-")[0] for host in (await fleet.hosts()).values()} == {"edge1"}
