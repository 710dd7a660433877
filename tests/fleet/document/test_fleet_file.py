"""A fleet file is read exactly, or refused with every problem, its line and what to do."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.core.ids import GroupId, SiteId, lot_of
from metertwin.fleet.control.desired import desired_of
from metertwin.fleet.document import (
    AppEntry,
    FleetFile,
    FleetFileError,
    GroupEntry,
    Known,
    LimitsEntry,
    ResourcesEntry,
    RolloutEntry,
    SiteEntry,
    fleet_yaml,
    parse_fleet,
)
from metertwin.fleet.document.form import IMAGE, MEMORY
from metertwin.fleet.document.schema import fleet_schema
from metertwin.fleet.runtimes.spec import MEMORY_LEAST_BYTES

REPOSITORY = Path(__file__).parents[3]
CLOUD, EDGE1, EDGE2 = SiteId("cloud"), SiteId("edge1"), SiteId("edge2")
KNOWN = Known(
    cloud=CLOUD,
    sites=(CLOUD, EDGE1, EDGE2),
    home_of={GroupId("feeder-1"): EDGE1, GroupId("feeder-2"): EDGE2, GroupId("feeder-3"): EDGE1},
    apps_of={GroupId(f"feeder-{number}"): ("tariff",) for number in (1, 2, 3)},
    roles_of={
        CLOUD: ("bus", "fleet", "recorder", "twin-host", "api"),
        EDGE1: ("bus", "recorder", "twin-host", "gateway", "api"),
        EDGE2: ("bus", "recorder", "twin-host", "gateway", "api"),
    },
    image="metertwin:0.1.0",
    images=frozenset({"metertwin:0.1.0", "metertwin:next"}),
)


def problems_of(text: str, known: Known | None = KNOWN) -> list[str]:
    with pytest.raises(FleetFileError) as raised:
        parse_fleet(text, "fleet.yaml", known)
    assert str(raised.value).startswith("fleet.yaml")
    return [str(problem) for problem in raised.value.problems]


def test_the_example_is_a_fleet_of_two_edges() -> None:
    text = (REPOSITORY / "examples/fleet/two-edges.yaml").read_text()
    file = parse_fleet(text, "two-edges.yaml", KNOWN)
    assert file.groups == {
        "feeder-1": GroupEntry("edge1"),
        "feeder-2": GroupEntry("cloud", twins_per_container="all"),
    }
    limits = file.sites["edge1"].resources.twin_host.limits
    assert (limits.cpu_ratio, limits.memory_bytes) == (0.5, 512 * 1024 * 1024)
    assert file.rollout == RolloutEntry(canary_ratio=0.5, watch_s=30.0, differences=0)


def test_how_a_group_is_to_be_cut_is_a_number_or_all() -> None:
    group = GroupId("feeder-1")
    cut = replace(KNOWN, cuts={group: (25, (lot_of(group, 1), lot_of(group, 2)))})
    text = "version: 1\ngroups: {feeder-1: {twins_per_container: %s}}"
    for wanted, size in ((25, 25), (24, 24), ("all", 0)):
        file = parse_fleet(text % wanted, "fleet.yaml", cut)
        assert desired_of(file, cut).sizes == {group: size}
    (problem,) = problems_of(text % 0)
    assert "0 twins is out of range" in problem
    unsaid = parse_fleet("version: 1\ngroups: {feeder-1: {at: cloud}}", "fleet.yaml", cut)
    assert desired_of(unsaid, cut).sizes == {}


def test_the_published_schema_is_the_program_s() -> None:
    # After a change: python -m metertwin.fleet.document.schema > docs/fleet.schema.json
    assert (REPOSITORY / "docs/fleet.schema.json").read_bytes() == fleet_schema()


ALL_PROBLEMS = [
    (
        "line 2, image: 'metertwin' does not say exactly what runs; write an image with its "
        "tag, as in metertwin:0.1.0."
    ),
    "line 5, sites.edge1.resources.gatewy: This key is not known; did you mean gateway.",
    (
        "line 5, sites.edge1.resources.twin_host.cpu_ratio: '50%' of one core is no number; "
        "write digits and nothing else, as in 0.25, 40 characters at most."
    ),
    (
        "line 5, sites.edge1.resources.twin_host.memory: '256MB' is no amount of memory; "
        "write a whole number with its unit KiB, MiB or GiB and no blank, as in 256MiB."
    ),
    "line 6, sites.edge3: There is no site 'edge3'; did you mean edge2.",
    (
        "line 6, sites.edge3.image: There is no image metertwin:gone here; did you mean "
        "metertwin:next. Make it with `metertwin image build --tag metertwin:gone`."
    ),
    "line 9, apps[1]: The key name is missing.",
    (
        "line 12, groups.feeder-1.at: Group feeder-1 cannot run at edge2: its meters are read"
        " at edge1; write edge1 or cloud."
    ),
    "line 13, groups.feeder-1.twins_per_container: 0 twins is out of range; give 1 or more.",
    "line 14, groups.feeder-2.att: This key is not known; did you mean at.",
    ("line 14, groups.feeder-2.at: There is no site 'nowhere'; known are cloud, edge1, edge2."),
    "line 15, groups.feeder-9: There is no group 'feeder-9'; did you mean feeder-3.",
    ("line 16, rollout.canary_ratio: 0 is out of range; give a share of the groups above 0, to 1."),
    (
        "line 16, rollout.watch_s: '10 s' s is no number; write digits and nothing else, as "
        "in 0.25, 40 characters at most."
    ),
    "line 16, rollout.differences: 'few' differences is no whole number.",
    "line 16, rollout.postpone_most_s: 86401 s is out of range; give 0 to 86400.0.",
]


def test_all_problems_are_told_together_each_with_line_and_remedy() -> None:
    text = """version: 1
image: metertwin
sites:
  edge1:
    resources: {twin_host: {cpu_ratio: 50%, memory: 256MB}, gatewy: {memory: 64MiB}}
  edge3: {image: metertwin:gone}
apps:
  - {name: tarif}
  - {version: "2"}
groups:
  feeder-1:
    at: edge2
    twins_per_container: 0
  feeder-2: {att: cloud, at: nowhere}
  feeder-9: {at: cloud}
rollout: {canary_ratio: 0, watch_s: 10 s, differences: few, postpone_most_s: 86401}
"""
    assert problems_of(text) == ALL_PROBLEMS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image: metertwin:next", "line 1: The key version is missing."),
        ("version: 2", "line 1, version: Version 2 is not known; this program reads 1."),
        ("version: 1\napps: []", "line 2, apps: A group without any app cannot be asked for here"),
        (
            "version: 1\napps: [{name: tariff}, {name: tariff}]",
            "line 2, apps: App 'tariff' stands here twice; keep one of them.",
        ),
        (
            "version: 1\ngroups: {feeder-1: {apps: [{name: tarif}]}}",
            (
                "line 2, groups.feeder-1.apps[0]: The site's settings have no app 'tarif'; did you "
                "mean tariff."
            ),
        ),
        (
            "version: 1\ngroups:\n  feeder-3:\n    image: metertwin:next",
            (
                "line 4, groups.feeder-3.image: Group feeder-3 would run from metertwin:next and "
                "feeder-1 from metertwin:0.1.0, both at edge1, whose twin host has one image"
            ),
        ),
        (
            "version: 1\nsites:\n  cloud:\n    resources:\n      gateway: {memory: 64MiB}",
            (
                "line 5, sites.cloud.resources.gateway: Site cloud has no part gateway: no meters "
                "are read there; take this key out."
            ),
        ),
        (
            "version: 1\nsites: {edge1: {resources: {fleet: {memory: 64MiB}}}}",
            "Site edge1 has no part fleet: no edges connect there; take this key out.",
        ),
        (
            "version: 1\nsites: {cloud: {resources: {api: {memory: 8191KiB}}}}",
            "8191KiB is less than any container starts within; give 8MiB or more.",
        ),
        ("version: &a 1", "line 1: Anchors (&) and aliases (*) are not used in fleet files."),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(text: str, problem: str) -> None:
    (told,) = problems_of(text)
    assert problem in told


def test_groups_that_are_not_named_share_their_site_s_image() -> None:
    text = "version: 1\nsites: {edge1: {image: metertwin:next}}\ngroups: {feeder-3: {}}"
    assert parse_fleet(text, "x", KNOWN).image_of("edge1") == "metertwin:next"


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_is_a_fleet_or_the_documented_error(text: str) -> None:
    ends_as_documented(text)


def ends_as_documented(text: str) -> None:
    try:
        file = parse_fleet(text, "fuzz")
    except FleetFileError:
        return
    assert parse_fleet(fleet_yaml(file), "again") == file


ROLES_COUNT = len(ResourcesEntry.__struct_fields__)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9
)
images = st.none() | st.from_regex(IMAGE, fullmatch=True)
# Any number a file can spell in 40 characters, and no finer one, comes back.
ratios = st.integers(10, 1_000).map(lambda thousandths: thousandths / 1_000)


def is_enough(memory: str) -> bool:
    return (LimitsEntry(memory=memory).limits.memory_bytes or 0) >= MEMORY_LEAST_BYTES


limits_entries = st.builds(
    LimitsEntry,
    st.none() | ratios,
    st.none() | st.from_regex(MEMORY, fullmatch=True).filter(is_enough),
)
apps = st.none() | st.lists(
    st.builds(AppEntry, names, st.just("") | names),
    min_size=1,
    max_size=3,
    unique_by=lambda app: app.name,
).map(tuple)
files = st.builds(
    FleetFile,
    version=st.just(1),
    image=images,
    apps=apps,
    rollout=st.builds(
        RolloutEntry,
        ratios,
        ratios.map(lambda ratio: ratio * 86_400),
        st.integers(0, 99) | st.just("any"),
    ),
    sites=st.dictionaries(
        names,
        st.builds(SiteEntry, images, st.builds(ResourcesEntry, *[limits_entries] * ROLES_COUNT)),
        max_size=3,
    ),
    groups=st.dictionaries(
        names, st.builds(GroupEntry, st.none() | names, images, apps), max_size=3
    ),
)


@settings(max_examples=150, deadline=None)
@given(files)
def test_what_is_written_is_read_back_the_same(file: FleetFile) -> None:
    assert parse_fleet(fleet_yaml(file), "written") == file


characters = list("ab01.,:-&*!%@?|>{}[]#'\"\\ \t\n\r\x00\ufeff\x85\ud800")
yaml_like = st.lists(st.sampled_from([*characters, "\n  ", ": ", "- "]), max_size=30).map("".join)


@settings(max_examples=150, deadline=None)
@given(files, st.data())
def test_a_damaged_file_is_a_fleet_or_the_documented_error(
    file: FleetFile, data: st.DataObject
) -> None:
    text = fleet_yaml(file)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    ends_as_documented(text[:start] + data.draw(yaml_like) + text[end:])


def test_the_struct_s_own_decoder_takes_what_the_reader_takes() -> None:
    # The schema is made from the structs; the reader is written by hand. Both must agree.
    file = parse_fleet((REPOSITORY / "examples/fleet/two-edges.yaml").read_text(), "x")
    assert msgspec.convert(msgspec.to_builtins(file), FleetFile) == file
