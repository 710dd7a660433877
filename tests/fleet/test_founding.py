"""A site made from a list of meters: what is written, and what is refused before anything is."""

import json
from pathlib import Path

import msgspec
import pytest

from metertwin.cli.tariff_grant import tariff_grant
from metertwin.core.errors import InvalidInputError, MeterTwinError
from metertwin.core.ids import SiteId
from metertwin.fleet.local.founding import SitePlan, found_site, relist_meters
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import load_registry, save_registry

TARIFF = Path("examples/tariffs/household-tou.yaml")
PLAN = SitePlan(SiteId("station-12"))
METERS = [
    MeterEntry(id="m1", group="north", host="10.0.0.1", port=4059),
    MeterEntry(id="m2", group="south", host="10.0.0.2", port=4059, is_protected=True),
    MeterEntry(id="m3", group="north", host="10.0.0.3", port=4059),
]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    file = tmp_path / "meters.json"
    save_registry(file, METERS)
    return file


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "station")


def test_groups_are_those_of_the_meters(registry: Path, state: StateDirectory) -> None:
    plan = msgspec.structs.replace(PLAN, poll_s=60.0, twins_per_container=1)
    settings = found_site(state, registry, plan)
    assert load_site(state.site_file) == settings
    north, south = settings.groups
    assert (north.id, north.meters) == ("north", ("m1", "m3"))
    assert [share.lot for share in north.shares()] == ["north/1", "north/2"]
    assert south.protected_meters == ("m2",)
    assert state.meters_file.stat().st_mode & 0o777 == 0o600
    assert load_registry(state.meters_file) == tuple(METERS)
    assert settings.simulation is None
    assert settings.clock is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"poll_s": 0.0}, "a poll every 0 s is not above 0 and at most 86400 s"),
        ({"poll_s": float("nan")}, "a poll every nan s is not above 0"),
        ({"api_port": 70_000}, "port 70000 of the API is not 1 to 65535"),
        ({"bus_port": 0}, "port 0 of the bus is not 1 to 65535"),
        ({"api_port": 4222}, "port 4222 is given to bus and API"),
        ({"twins_per_container": -1}, "-1 twins in a container are less than none"),
    ],
)
def test_a_plan_out_of_range_is_refused_and_nothing_is_made(
    change: dict[str, float], sentence: str, registry: Path, state: StateDirectory
) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        found_site(state, registry, msgspec.structs.replace(PLAN, **change))
    assert not state.root.exists()


def test_a_site_that_is_there_is_left_as_it_is(registry: Path, state: StateDirectory) -> None:
    found_site(state, registry, PLAN)
    before = state.site_file.read_bytes()
    with pytest.raises(MeterTwinError, match="has a site already"):
        found_site(state, registry, msgspec.structs.replace(PLAN, poll_s=1.0))
    assert state.site_file.read_bytes() == before


def test_a_list_that_cannot_be_used_is_refused(registry: Path, state: StateDirectory) -> None:
    registry.chmod(0o644)
    with pytest.raises(MeterTwinError, match="run chmod 600 on it"):
        found_site(state, registry, PLAN)
    registry.chmod(0o600)
    registry.write_text(json.dumps({"version": 1, "meters": []}))
    with pytest.raises(InvalidInputError, match="lists no meter"):
        found_site(state, registry, PLAN)
    assert not state.root.exists()


def test_another_list_puts_new_meters_behind_and_forgets_no_twin(
    registry: Path, state: StateDirectory
) -> None:
    found_site(state, registry, msgspec.structs.replace(PLAN, twins_per_container=1))
    m0 = MeterEntry(id="m0", group="north", host="10.0.0.9", port=4059)
    m9 = MeterEntry(id="m9", group="west", host="10.0.0.9", port=4059, server_sap=2)
    replaced = msgspec.structs.replace(METERS[0], host="10.0.0.77")
    save_registry(registry, [m0, m9, replaced, METERS[1]])
    change = relist_meters(state, registry)
    assert (change.new, change.gone) == (("m0", "m9"), ("m3",))
    settings = load_site(state.site_file)
    assert {group.id: group.meters for group in settings.groups} == {
        "north": ("m1", "m3", "m0"),
        "south": ("m2",),
        "west": ("m9",),
    }
    assert [share.lot for share in settings.groups[0].shares()] == [
        "north/1",
        "north/2",
        "north/3",
    ]
    assert load_registry(state.meters_file)[2].host == "10.0.0.77"
    change = relist_meters(state, registry)
    assert (change.new, change.gone) == ((), ())
    assert load_site(state.site_file) == settings


def test_a_meter_cannot_change_its_group(registry: Path, state: StateDirectory) -> None:
    found_site(state, registry, PLAN)
    save_registry(registry, [msgspec.structs.replace(METERS[0], group="south"), *METERS[1:]])
    before = state.meters_file.read_bytes()
    with pytest.raises(MeterTwinError, match="m1 is in group north and would be in south"):
        relist_meters(state, registry)
    assert state.meters_file.read_bytes() == before


def test_tariffs_come_from_files_and_the_first_is_the_usual_one(tmp_path: Path) -> None:
    grant = tariff_grant([TARIFF], ["t*"])
    assert grant.config["default"] == "household-tou"
    assert grant.config["unbilled"] == ["t*"]
    with pytest.raises(InvalidInputError, match="both have the id household-tou"):
        tariff_grant([TARIFF, TARIFF])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        tariff_grant([tmp_path / "absent.yaml"])
