"""Commands that move groups and play partitions, at wrong input and without a running site."""

import json
from pathlib import Path

import msgspec
import pytest
from tests.cli.terminal import Terminal

from metertwin.core.ids import GroupId, MeterId, SiteId
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.link import LinkState, wanted_state
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.site import SITE_VERSION, EdgeSettings, SiteSettings, load_site, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.twins.settings import GroupSettings


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """A cloud with two edges, as its settings say; nothing runs."""
    here = StateDirectory(tmp_path / "cloud")
    here.make()
    group = GroupSettings(id=GroupId("feeder-1"), meters=(MeterId("m1"),))
    settings = SiteSettings(
        version=SITE_VERSION,
        site=SiteId("cloud"),
        bus_url="nats://127.0.0.1:1",
        groups=(),
        leaf_port=2,
        edges=(EdgeSettings(SiteId("edge1"), (group,)), EdgeSettings(SiteId("edge2"), ())),
    )
    save_site(here.site_file, settings)
    return here


@pytest.fixture
def terminal(state: StateDirectory) -> Terminal:
    return Terminal(state.root)


async def refused(terminal: Terminal, *arguments: str) -> str:
    code, _, error = await terminal.run(*arguments)
    assert (code, "Traceback" in error) == (1, False), error
    return " ".join(error.split())


async def test_what_is_not_there_is_named_with_what_is(terminal: Terminal) -> None:
    said = await refused(terminal, "migrate", "feeder-9", "--to", "cloud")
    assert "There is no group 'feeder-9'; site cloud has feeder-1." in said
    said = await refused(terminal, "migrate", "feeder-1", "--to", "edge7")
    assert "There is no site 'edge7'; there are cloud, edge1, edge2." in said
    said = await refused(terminal, "migrate", "feeder-1", "--to", "edge2")
    assert (
        "Group feeder-1 cannot go to edge2: a group goes between its home, which is edge1, and "
        "the cloud, cloud."
    ) in said
    said = await refused(terminal, "link", "cut", "edge7")
    assert "There is no edge 'edge7'; site cloud has edge1, edge2." in said


async def test_a_link_that_is_no_relay_here_cannot_be_cut(terminal: Terminal) -> None:
    said = await refused(terminal, "link", "cut", "edge1")
    assert "The link of edge1 is no relay of this machine" in said


async def test_a_link_is_cut_silenced_and_restored(
    terminal: Terminal, state: StateDirectory
) -> None:
    home = state.link(SiteId("edge1"))
    home.root.mkdir(parents=True)
    for change, wanted in (
        ("cut", LinkState.CUT),
        ("silence", LinkState.SILENT),
        ("restore", LinkState.WHOLE),
    ):
        code, said, error = await terminal.run("link", change, "edge1")
        assert (code, said) == (0, f"The link of edge1 is {wanted}.\n"), error
        assert wanted_state(home.link_file) is wanted
        assert json.loads((await terminal.run("link", "show", "edge1", "--json"))[1]) == {
            "site": "edge1",
            "link": wanted,
        }


async def test_a_rollout_needs_a_site_that_was_started(terminal: Terminal) -> None:
    said = await refused(terminal, "rollout", "start", "feeder-1", "--image", "metertwin:next")
    assert "No site was started in" in said


async def test_a_rollout_is_for_groups_of_one_home(
    terminal: Terminal, state: StateDirectory
) -> None:
    settings = load_site(state.site_file)
    other = GroupSettings(id=GroupId("feeder-2"), meters=(MeterId("m2"),))
    edges = (*settings.edges, EdgeSettings(SiteId("edge2"), (other,)))
    save_site(state.site_file, msgspec.structs.replace(settings, edges=edges))
    containers = await Containers.open(RuntimeChoice.PROCESS, state.root)
    containers.remember(state.root)
    await containers.close()
    image = ("--image", "metertwin:next")
    said = await refused(terminal, "rollout", "start", "feeder-1", "feeder-2", *image)
    assert "these are at home feeder-1 in edge1, feeder-2 in edge2; start one for each" in said
