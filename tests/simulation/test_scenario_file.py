from datetime import UTC, datetime
from pathlib import Path

import pytest

from metertwin.simulation.errors import ScenarioError
from metertwin.simulation.scenario import FOR_EVER_S, Incident, Kind
from metertwin.simulation.scenario_file import Names, parse_scenario, read_scenario

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
START_S = int(START.timestamp())


@pytest.fixture
def names() -> Names:
    return Names({f"m00000{n + 1}": n for n in range(5)}, {"feeder-1": 0, "feeder-2": 1}, START)


def test_a_scenario_is_read(names: Names) -> None:
    text = """
events:
  - kind: theft_bypass
    meters: [m000001, m000005]
    start: 3600
    end: 2026-01-05T14:00:00+01:00
    share: 0.5
  - {kind: voltage_dip, groups: [feeder-2], start: 0, end: 10, residual: 0.7}
  - {kind: counter_reset, meters: [m000002], start: 2026-01-05T13:00:00Z}
"""
    with pytest.raises(ScenarioError, match="line 6: end is not after start"):
        parse_scenario(text, names)
    text = text.replace("14:00:00+01:00", "15:00:00+01:00")
    assert parse_scenario(text, names).incidents == (
        Incident(Kind.THEFT_BYPASS, (0, 4), (), START_S + 3600, START_S + 7200, 0.5),
        Incident(Kind.VOLTAGE_DIP, (), (1,), START_S, START_S + 10, 0.7),
        Incident(Kind.COUNTER_RESET, (1,), (), START_S + 3600, FOR_EVER_S, 0.0),
    )


def test_an_empty_scenario_has_no_incidents(names: Names) -> None:
    assert parse_scenario("", names).incidents == ()


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ("{kind: burglary, start: 0}", "line 2: kind 'burglary' is not known; known are theft_fac"),
        ("{meters: [m000001], start: 0}", "line 2: kind is missing"),
        ("{kind: silent, meters: [m9], start: 0}", "meter m9 does not exist; there are m000001 to"),
        ("{kind: silent, start: 0}", "silent names nobody; give meters or groups"),
        ("{kind: silent, meters: [m000001]}", "start is missing"),
        ("{kind: silent, meters: [m000001], start: noon}", "'noon' is no moment; write whole sec"),
        ("{kind: silent, meters: [m000001], start: 2026-01-05T12:00}", "is no moment"),
        ("{kind: silent, meters: m000001, start: 0}", r"write a list of meters, for example \[m0"),
        ("{kind: silent, meters: [m000001], start: 0, factor: 1}", "silent has no field 'factor'"),
        ("{kind: theft_factor, meters: [m000001], start: 0}", "theft_factor needs factor, 0 to 1"),
        ("{kind: theft_factor, meters: [m000001], start: 0, factor: 3}", "factor '3' is not 0 to"),
        ("{kind: voltage_dip, meters: [m000001], start: 0, residual: 0.8}", "is of a whole feeder"),
        ("{kind: clock_drift, groups: [feeder-1], start: 0, rate_ppm: 9}", "name them in meters"),
        ("{kind: counter_reset, meters: [m000001], start: 0, end: 9}", "has no end"),
        ("{kind: silent, meters: [m000001], start: 0, start: 1}", "start stands here twice"),
        ("just words", "line 2: write fields here"),
        ("{kind: [a], start: 0}", "is not known"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(names: Names, event: str, problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem) as caught:
        parse_scenario(f"events:\n  - {event}\n", names)
    assert "line 2" in str(caught.value)


def test_all_problems_are_told_together(names: Names) -> None:
    text = """events:
  - {kind: silent, meters: [m9], start: 0}
  - {kind: outage, groups: [feeder-3], start: -5, end: -9}
"""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, names)
    sentence = str(caught.value)
    assert "line 2: meter m9" in sentence
    assert "line 3: group feeder-3" in sentence
    assert "line 3: end is not after start" in sentence


def test_no_yaml_names_its_line(names: Names) -> None:
    with pytest.raises(ScenarioError, match=r"scenario, line 2: this is no YAML"):
        parse_scenario("events:\n  - [1, 2\n", names)


def test_a_forbidden_character_is_told(names: Names) -> None:
    with pytest.raises(ScenarioError, match="scenario is no YAML: unacceptable character"):
        parse_scenario("events: \x00", names)


def test_a_missing_file_is_named(names: Names, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml cannot be read"):
        read_scenario(tmp_path / "none.yaml", names)
