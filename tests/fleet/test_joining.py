"""A cloud and an edge that joins it: what each writes, and what is refused."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.bus.server_config import write_config
from metertwin.core.errors import InvalidInputError, MeterTwinError
from metertwin.core.ids import SiteId
from metertwin.fleet.local.founding import SitePlan, found_site
from metertwin.fleet.local.joining import (
    CloudPlan,
    TicketError,
    admit_edge,
    found_cloud,
    join_cloud,
    load_ticket,
    save_ticket,
)
from metertwin.fleet.site import SiteSettings, load_site
from metertwin.fleet.state import StateDirectory
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import save_registry

PLAN = CloudPlan(SiteId("cloud"), ("cloud.example", "10.0.0.1"))


@pytest.fixture
def cloud(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(tmp_path / "cloud")
    found_cloud(state, PLAN)
    return state


def edge_of(tmp_path: Path, name: str, group: str) -> tuple[StateDirectory, SiteSettings]:
    registry, state = tmp_path / "meters.json", StateDirectory(tmp_path / name)
    save_registry(registry, [MeterEntry(id=f"m-{group}", group=group, host="10.0.0.9", port=4059)])
    return state, found_site(state, registry, SitePlan(SiteId(name)))


def test_an_edge_is_let_in_and_joins(cloud: StateDirectory, tmp_path: Path) -> None:
    state, settings = edge_of(tmp_path, "station-12", "north")
    ticket = admit_edge(cloud, settings)
    assert ticket.url == "nats-leaf://cloud.example:7422"
    assert ticket.seed not in repr(ticket)
    file = tmp_path / "ticket.json"
    save_ticket(file, ticket)
    assert file.stat().st_mode & 0o777 == 0o600
    joined = join_cloud(state, load_ticket(file))
    assert load_site(state.site_file) == joined
    assert joined.uplink is not None
    for path in (joined.uplink.seed, joined.uplink.certificate):
        assert Path(path).stat().st_mode & 0o777 == 0o600
    (known,) = load_site(cloud.site_file).edges
    assert (known.site, [group.id for group in known.groups]) == ("station-12", ["north"])
    assert load_site(cloud.site_file).place.is_hub


def test_a_cloud_may_be_reached_by_an_address_of_version_6(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "cloud")
    settings = found_cloud(
        state, msgspec.structs.replace(PLAN, reached_by=("2001:db8::1",), leaf_host="::")
    )
    config = write_config(state.bus, state.bus_seeds, 4222, place=settings.place)
    assert 'listen: "[::]:7422"' in config.read_text()
    ticket = admit_edge(state, edge_of(tmp_path, "station-12", "north")[1])
    assert ticket.url == "nats-leaf://[2001:db8::1]:7422"
    save_ticket(tmp_path / "ticket.json", ticket)
    assert load_ticket(tmp_path / "ticket.json") == ticket


def test_what_changed_at_an_edge_is_taken_in_with_the_same_ticket(
    cloud: StateDirectory, tmp_path: Path
) -> None:
    _, settings = edge_of(tmp_path, "station-12", "north")
    first = admit_edge(cloud, settings)
    admit_edge(cloud, edge_of(tmp_path, "station-13", "south")[1])
    more = msgspec.structs.replace(settings.groups[0], meters=("m-north", "m-new"))
    assert admit_edge(cloud, msgspec.structs.replace(settings, groups=(more,))) == first
    edges = {str(edge.site): edge.groups for edge in load_site(cloud.site_file).edges}
    assert edges["station-12"][0].meters == ("m-north", "m-new")
    assert edges.keys() == {"station-12", "station-13"}


def test_who_cannot_be_an_edge_is_not_let_in(cloud: StateDirectory, tmp_path: Path) -> None:
    state, settings = edge_of(tmp_path, "station-12", "north")
    admit_edge(cloud, settings)
    before = cloud.site_file.read_bytes()
    with pytest.raises(MeterTwinError, match="north is at home in two sites"):
        admit_edge(cloud, msgspec.structs.replace(settings, site=SiteId("station-13")))
    with pytest.raises(MeterTwinError, match="cannot be an edge of cloud"):
        admit_edge(cloud, load_site(cloud.site_file))
    with pytest.raises(MeterTwinError, match="is no cloud"):
        admit_edge(state, settings)
    assert cloud.site_file.read_bytes() == before


def test_a_ticket_is_for_one_site(cloud: StateDirectory, tmp_path: Path) -> None:
    state, settings = edge_of(tmp_path, "station-12", "north")
    ticket = admit_edge(cloud, settings)
    before = state.site_file.read_bytes()
    with pytest.raises(TicketError, match=r"for site station-13, and .* has station-12"):
        join_cloud(state, msgspec.structs.replace(ticket, site=SiteId("station-13")))
    with pytest.raises(MeterTwinError, match="is a cloud itself"):
        join_cloud(cloud, msgspec.structs.replace(ticket, site=SiteId("cloud")))
    assert state.site_file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 2}, "has version 2, this program reads version 1"),
        ({"url": 'nats-leaf://a:1" }\nport: 1'}, "is damaged"),
        ({"url": "nats://cloud:7422"}, "is damaged"),
        ({"seed": "SU"}, "is damaged"),
    ],
)
def test_a_damaged_ticket_is_refused(
    change: dict[str, object], sentence: str, cloud: StateDirectory, tmp_path: Path
) -> None:
    ticket = admit_edge(cloud, edge_of(tmp_path, "station-12", "north")[1])
    file = tmp_path / "ticket.json"
    save_ticket(file, msgspec.structs.replace(ticket, **change))
    with pytest.raises(TicketError, match=sentence):
        load_ticket(file)
    with pytest.raises(TicketError, match="cannot be read"):
        load_ticket(tmp_path / "absent.json")


@given(octets=st.binary() | st.just(b"[" * 100_000))
def test_any_octets_are_a_ticket_or_the_documented_error(
    octets: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("ticket") / "ticket.json"
    file.write_bytes(octets)
    with pytest.raises(TicketError):
        load_ticket(file)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reached_by": ()}, "edges need a name or an address"),
        ({"reached_by": ('a" b',)}, "is neither the name nor the address of a host"),
        ({"leaf_host": "cloud.example"}, "is no address of this machine to listen on"),
        ({"leaf_port": 4222}, "port 4222 is given to bus and edges"),
    ],
)
def test_a_cloud_out_of_range_is_refused(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    state = StateDirectory(tmp_path / "new")
    with pytest.raises(InvalidInputError, match=sentence):
        found_cloud(state, msgspec.structs.replace(PLAN, **change))
    assert not state.root.exists()


def test_a_site_that_is_there_is_no_cloud_by_mistake(cloud: StateDirectory) -> None:
    with pytest.raises(MeterTwinError, match="has a site already"):
        found_cloud(cloud, PLAN)
