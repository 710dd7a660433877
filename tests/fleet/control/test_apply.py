"""What a fleet file wants is brought about once, kept so, and told."""

import json
from pathlib import Path

import pytest
from tests.fleet.control.conftest import Fleet

from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.local.containers import limits_of
from metertwin.fleet.runtimes.port import Phase
from metertwin.fleet.runtimes.spec import Limits

pytestmark = pytest.mark.fault

CLOUD = "cloud-twin-host"
EDGE, EDGE_NEXT = "edge1-twin-host", "edge1-twin-host-2"
F1, F2 = "feeder-1", "feeder-2"


async def test_a_file_is_applied_once_and_the_second_time_does_nothing(fleet: Fleet) -> None:
    file = str(fleet.file("groups: {feeder-1: {at: cloud}}"))
    code, out, _ = await fleet.run("diff", "-f", file)
    assert (code, out) == (
        1,
        "move feeder-1 from edge1-twin-host to cloud: it is wanted at cloud\n",
    )
    code, out, said = await fleet.run("apply", "-f", file)
    assert code == 0, said
    assert "move feeder-1" in said
    assert await fleet.hosts() == {F1: CLOUD, F2: EDGE}
    before = await fleet.standing()
    code, out, said = await fleet.run("apply", "-f", file)
    assert (code, out) == (0, f"The fleet is as revision {before.revision} wants it.\n")
    assert said == f"revision {before.revision} of the fleet is wanted\n"
    code, out, _ = await fleet.run("diff", "-f", file, "--json")
    assert (code, json.loads(out)) == (0, {"steps": [], "unknown": {}})


async def test_all_that_is_wrong_is_told_at_once_and_the_form_also_where_nothing_runs(
    fleet: Fleet, tmp_path: Path
) -> None:
    file = fleet.file("groups: {feeder-1: {at: nowhere, twins_per_container: -1}}")
    code, _, said = await fleet.run("diff", "-f", str(file))
    told = " ".join(said.split())
    assert (code, "There is no site 'nowhere'" in told, "-1 twins" in told) == (1, True, True), said
    code, _, said = await Fleet(tmp_path).run("apply", "-f", str(file))
    assert (code, "-1 twins is out of range" in said) == (1, True), said
    code, _, said = await Fleet(tmp_path).run("apply", "-f", str(fleet.file("")))
    assert (code, "No site file at" in said) == (1, True), said


async def test_an_edge_seen_by_itself_lacks_nothing_and_rolls_out(fleet: Fleet) -> None:
    at_edge = Fleet(fleet.root / "sites" / "edge1")
    file = fleet.file()
    assert (await fleet.run("apply", "-f", str(file)))[0] == 0
    owners = set((await fleet.hosts()).values())
    standing = await at_edge.standing()
    assert (standing.is_reached, {group.host for group in standing.groups}) == (True, owners)
    code, _, said = await at_edge.run(
        *("rollout", "start", "feeder-1", "feeder-2"),
        *("--image", "metertwin:next", "--watch", "0.5"),
    )
    assert code == 0, said
    assert owners.isdisjoint((await fleet.hosts()).values())
    assert (await at_edge.standing()).groups[0].image == "metertwin:next"


async def test_a_version_of_an_app_that_is_not_there_is_taken_back(fleet: Fleet) -> None:
    # The version that runs is no difference, whatever the site's settings leave open.
    file = fleet.file('groups: {feeder-1: {apps: [{name: tariff, version: "1.0.0"}]}}')
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert (code, "feeder-1 has" in said) == (0, False), said
    async with fleet.reach() as reach:
        before = [reach.local(site).settings for site in reach.known.sites]
    file = fleet.file('groups: {feeder-1: {apps: [{name: tariff, version: "9.9"}]}}')
    code, out, _ = await fleet.run("apply", "-f", str(file))
    assert code == 1
    assert "feeder-1 has tariff 1.0.0" in out
    assert "does not run tariff, which was at work before" in out
    standing = await fleet.standing()
    assert [group.apps for group in standing.groups] == [("tariff 1.0.0 (running)",)] * 2
    async with fleet.reach() as reach:
        assert [reach.local(site).settings for site in reach.known.sites] == before


async def test_limits_and_another_image_are_rolled_out_and_told(fleet: Fleet) -> None:
    file = fleet.file(
        "image: metertwin:next",
        "sites: {edge1: {resources: {twin_host: {memory: 700MiB}}}}",
    )
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert code == 0, said
    code, out, _ = await fleet.run("status", "--json")
    told = json.loads(out)
    assert (code, told["is_reached"], told["lacking"], told["doing"]) == (0, True, [], "")
    assert {group["image"] for group in told["groups"]} == {"metertwin:next"}
    assert await fleet.hosts() == {F1: EDGE_NEXT, F2: EDGE_NEXT}
    async with fleet.reach() as reach:
        status = await reach.containers.status("edge1-twin-host-2")
        assert '"memory_bytes":734003200' in status.labels["io.metertwin.limits"]
    assert await fleet.up() == {"cloud-twin-host", "edge1-twin-host-2"}


async def test_parts_are_started_anew_within_their_limits_and_nothing_is_lost(
    fleet: Fleet,
) -> None:
    before = await fleet.hosts()
    file = fleet.file(
        "image: metertwin:next",
        "sites:",
        "  cloud: {resources: {fleet: {memory: 300MiB}}}",
        "  edge1: {resources: {gateway: {memory: 300MiB}, api: {cpu_ratio: 0.9},",
        "                      recorder: {memory: 800MiB}, bus: {memory: 600MiB},",
        "                      twin_host: {memory: 700MiB}}}",
    )
    code, out, _ = await fleet.run("diff", "-f", str(file))
    told = [line for line in out.splitlines() if " anew " in line]
    assert (code, len(told)) == (1, 5)
    assert "start edge1-gateway anew (300 MiB): its limits are others" in told
    assert told[-1] == "start edge1-bus anew (600 MiB): its limits are others"
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert code == 0, said
    assert await fleet.hosts() == before
    assert (await fleet.run("diff", "-f", str(file)))[0] == 0
    async with fleet.reach() as reach:
        statuses = await reach.containers.statuses()
        assert limits_of(statuses["edge1-bus"]).memory_bytes == 600 * 1024**2
        assert limits_of(statuses["edge1-api"]).cpu_ratio == 0.9
        assert not any(each.restart_count for each in statuses.values())
    await fleet.until_balanced()
    # The cloud's bus as well, over which the controller itself speaks.
    text = file.read_text().replace("{fleet: {", "{bus: {memory: 700MiB}, fleet: {")
    file.write_text(text)
    code, _, said = await fleet.run("apply", "-f", str(file))
    assert (code, said.count(" anew ")) == (0, 1), said
    assert "start cloud-bus anew (700 MiB)" in said
    await fleet.until_balanced()


async def test_a_part_that_does_not_come_up_within_its_limits_is_put_back(fleet: Fleet) -> None:
    resources = "{gateway: {memory: 8MiB}, twin_host: {memory: 700MiB}}"
    file = fleet.file("image: metertwin:next", f"sites: {{edge1: {{resources: {resources}}}}}")
    code, out, said = await fleet.run("apply", "-f", str(file))
    assert code == 1
    assert "going back: edge1-gateway ended: out of memory" in said
    assert "out of memory: 8 MiB are too little; allow it more in the fleet file" in out
    assert said.count("start edge1-gateway anew") == 1
    assert said.count(" without limits") == 5  # what the file asks for no more
    async with fleet.reach() as reach:
        status = await reach.containers.status("edge1-gateway")
        assert (status.phase, limits_of(status)) == (Phase.RUNNING, Limits(None, 300 * 1024**2))
    code, _, said = await fleet.run("apply", "--once")  # another controller knows it as well
    assert (code, "start edge1-gateway anew" in said) == (1, False)
    await fleet.until_balanced()


async def test_an_image_that_is_taken_back_is_refused_and_not_tried_again(fleet: Fleet) -> None:
    async with fleet.reach() as reach:
        script = fleet.root / "crash.py"
        script.write_text("import sys; sys.exit('no such luck')\n")
        await reach.containers.runtime.add_image(  # type: ignore[attr-defined] # processes
            "metertwin:crash", ("python3", str(script))
        )
    before = await fleet.hosts()
    code, out, said = await fleet.run(
        "apply", "-f", str(fleet.file("sites: {edge1: {image: metertwin:crash}}"))
    )
    assert code == 1
    assert "(refused: not begun: " in out
    assert said.count("roll metertwin:crash") == 1
    assert dict((await fleet.hosts()).items()) == before
    code, out, said = await fleet.run("apply", "--once")  # another controller knows it as well
    assert code == 1
    assert "roll metertwin:crash" not in said
    assert (await fleet.standing()).refused


async def test_drift_is_mended_while_a_controller_watches(fleet: Fleet) -> None:
    watching = await fleet.start(
        "--watch", "-f", str(fleet.file("groups: {feeder-2: {at: cloud}}"))
    )
    await watching.until_said("all is as revision")
    async with fleet.reach() as reach:
        # Somebody moves both groups by hand.
        await reach.move(GroupId(F1), SiteId("cloud"))
        await reach.move(GroupId(F2), SiteId("edge1"))
    await watching.until_said("move feeder-")
    await watching.until_said("move feeder-")
    standing = await fleet.until_reached()
    assert {group.group: group.site for group in standing.groups} == {F1: "edge1", F2: "cloud"}
    # A host's container is removed.
    (owner,) = {group.host for group in standing.groups if group.site == "edge1"}
    async with fleet.reach() as reach:
        assert owner is not None
        name = reach.containers._name(owner)
        await reach.containers.runtime.remove(name)
    line = await watching.until_said(f"start {owner}")
    assert "it owns feeder-1 and is absent" in line
    standing = await fleet.until_reached()
    assert {group.host for group in standing.groups if group.site == "edge1"} == {owner}
    # Told to end, it gives its lease back: the next one need not wait for the term.
    assert await watching.end() == 0
    code, _, said = await fleet.run("apply", "--once")
    assert code == 0, said
