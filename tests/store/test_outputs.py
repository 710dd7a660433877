"""What every history store promises of what apps conclude."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.core.output import AppOutput
from metertwin.store.duckdb import DuckDbStore
from metertwin.store.errors import LimitError
from metertwin.store.harvest import Harvest
from metertwin.store.port import HistoryStore

OpenStore = Callable[[], HistoryStore]
MakeBatch = Callable[..., ReadingBatch]
M1, M2, G1, G2 = MeterId("m1"), MeterId("m2"), GroupId("g1"), GroupId("g2")
BEGIN, END = from_us(0), from_us(10**12)


def at(second: int) -> datetime:
    return from_us(second * 1_000_000)


def output(meter: MeterId | None, second: int, revision: int = 0, **value: object) -> AppOutput:
    return AppOutput("tariff", "1.0", G1, meter, "bill", at(second), revision, at(100), value)


def said(store: HistoryStore, whose: str, **asked: object) -> list[tuple[object, ...]]:
    rows = store.outputs(MeterId(whose), BEGIN, END, **asked).to_pylist()  # type: ignore[arg-type]
    return [
        (row["meter"], row["at_us"] // 1_000_000, row["revision"], row["value"]) for row in rows
    ]


def test_an_output_comes_back_with_everything_it_said(store: HistoryStore) -> None:
    value = {"total": "12.30", "lines": [{"name": "peak", "kwh": "1.5"}], "naïve": None}
    store.record(Harvest(outputs=[output(M1, 60, 2, **value)]))
    [row] = store.outputs(M1, BEGIN, END).to_pylist()
    assert json.loads(row.pop("value")) == value
    assert row == {
        "app": "tariff",
        "app_version": "1.0",
        "meter": "m1",
        "name": "bill",
        "at_us": 60_000_000,
        "revision": 2,
        "issued_at_us": 100_000_000,
    }


def test_what_is_said_again_is_kept_once_and_the_first_stands(open_store: OpenStore) -> None:
    store = open_store()
    said_first = [output(M1, 1, n=1), output(None, 1, n=1), output(M1, 1, n=9)]
    store.record(Harvest(outputs=said_first))
    store = open_store()
    store.record(Harvest(outputs=[output(M1, 1, n=2), output(None, 1, n=2), output(M2, 1, n=3)]))
    assert said(store, "g1") == [
        ("m1", 1, 0, '{"n":1}'),
        ("m2", 1, 0, '{"n":3}'),
        (None, 1, 0, '{"n":1}'),
    ]


def test_a_higher_revision_stands_whenever_it_came(store: HistoryStore) -> None:
    for revision in (0, 2, 1):
        store.record(Harvest(outputs=[output(M1, 5, revision, n=revision)]))
    store.record(Harvest(outputs=[output(M1, 4, 1), output(None, 5, 1)]))
    assert said(store, "m1") == [("m1", 5, 2, '{"n":2}'), ("m1", 4, 1, "{}")]
    assert [each[2] for each in said(store, "m1", newest_revision=False)] == [2, 1, 0, 1]
    assert said(store, "g1", limit=1) == [("m1", 5, 2, '{"n":2}')]


def test_a_meter_a_group_an_app_a_name_and_a_time_choose(store: HistoryStore) -> None:
    other_app = replace(output(M1, 2), app="theft")
    other_name = replace(output(M1, 3), name="usage")
    elsewhere = replace(output(MeterId("m9"), 4), group=G2)
    store.record(
        Harvest(outputs=[output(M1, 1), other_app, other_name, elsewhere, output(None, 5)])
    )
    assert [each[1] for each in said(store, "m1")] == [3, 2, 1]
    assert [each[1] for each in said(store, "m1", app="tariff")] == [3, 1]
    assert [each[1] for each in said(store, "m1", app="tariff", name="bill")] == [1]
    assert [each[1] for each in said(store, "g1", name="bill")] == [5, 2, 1]
    assert [each[1] for each in said(store, "g2")] == [4]
    within = store.outputs(M1, at(1), at(3))["at_us"].to_pylist()
    assert within == [2_000_000, 1_000_000]
    with pytest.raises(NotFoundError, match="Neither a meter nor a group named nobody"):
        said(store, "nobody")
    with pytest.raises(LimitError, match="A limit of 0 rows"):
        said(store, "m1", limit=0)


Outputs = st.lists(
    st.tuples(
        st.sampled_from([M1, M2, None]),
        st.integers(1, 3),  # at: few, so that keys meet
        st.integers(0, 2),  # revision
        st.integers(0, 9),  # value
    ),
    min_size=1,
    max_size=20,
)


@given(outputs=Outputs, cuts=st.lists(st.integers(0, 20), max_size=3))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_grouping_gives_what_a_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory,
    outputs: list[tuple[MeterId | None, int, int, int]],
    cuts: list[int],
) -> None:
    store = DuckDbStore(tmp_path_factory.mktemp("outputs") / "history.duckdb")
    edges = [0, *sorted(cuts), len(outputs)]
    for first, last in itertools.pairwise(edges):
        harvest = [output(m, s, r, n=n) for m, s, r, n in outputs[first:last]]
        store.record(Harvest(outputs=harvest))
    expected: dict[tuple[MeterId | None, int, int], int] = {}
    for meter, second, revision, n in outputs:
        expected.setdefault((meter, second, revision), n)
    found = said(store, "g1", newest_revision=False)
    assert {row[:3]: json.loads(str(row[3]))["n"] for row in found} == expected
    assert len(found) == len(expected)
    highest = {key[:2]: key[2] for key in sorted(expected, key=lambda key: key[2])}
    assert {row[:2]: row[2] for row in said(store, "g1")} == highest
    store.close()


_VERSION_1 = """
CREATE TABLE layout (version INTEGER NOT NULL, last_transaction BIGINT NOT NULL);
CREATE TABLE groups (group_id INTEGER NOT NULL, name VARCHAR NOT NULL, epoch BIGINT NOT NULL,
    stale_count BIGINT NOT NULL);
CREATE TABLE meters (meter_id INTEGER NOT NULL, name VARCHAR NOT NULL, group_id INTEGER NOT NULL);
CREATE TABLE registers (register_id INTEGER NOT NULL, obis VARCHAR NOT NULL, unit INTEGER NOT NULL,
    scaler INTEGER NOT NULL, period_s BIGINT NOT NULL);
CREATE TABLE readings (meter_id INTEGER NOT NULL, register_id INTEGER NOT NULL,
    captured_at_us BIGINT NOT NULL, integer BIGINT NOT NULL, quality UTINYINT NOT NULL,
    origin UTINYINT NOT NULL, received_at_us BIGINT NOT NULL, sequence BIGINT NOT NULL);
CREATE TABLE superseded (meter_id INTEGER NOT NULL, register_id INTEGER NOT NULL,
    captured_at_us BIGINT NOT NULL, integer BIGINT NOT NULL, quality UTINYINT NOT NULL,
    origin UTINYINT NOT NULL, received_at_us BIGINT NOT NULL, sequence BIGINT NOT NULL);
CREATE TABLE ledger (meter_id INTEGER NOT NULL, received BIGINT NOT NULL, taken BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, repeated BIGINT NOT NULL);
CREATE TABLE holes (meter_id INTEGER NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL);
CREATE TABLE positions (stream VARCHAR NOT NULL, stream_sequence BIGINT NOT NULL);
CREATE TABLE events (meter_id INTEGER NOT NULL, source VARCHAR NOT NULL, code BIGINT NOT NULL,
    captured_at_us BIGINT NOT NULL, received_at_us BIGINT NOT NULL, name VARCHAR NOT NULL,
    detail VARCHAR NOT NULL);
CREATE TABLE commands (id VARCHAR NOT NULL, meter_id INTEGER NOT NULL, kind VARCHAR NOT NULL,
    arguments VARCHAR NOT NULL, issued_by VARCHAR NOT NULL, issued_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL, epoch BIGINT NOT NULL);
CREATE TABLE outcomes (id VARCHAR NOT NULL, meter_id INTEGER NOT NULL, status VARCHAR NOT NULL,
    at_us BIGINT NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE refused (stream VARCHAR NOT NULL, stream_sequence BIGINT NOT NULL,
    subject VARCHAR NOT NULL, octets BLOB NOT NULL, code VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    refused_at_us BIGINT NOT NULL);
INSERT INTO layout VALUES (1, 7);
INSERT INTO groups VALUES (0, 'g1', 3, 0);
INSERT INTO meters VALUES (0, 'm1', 0);
INSERT INTO ledger VALUES (0, 1, 1, 0, 0);
INSERT INTO registers VALUES (0, '1-0:1.8.0*255', 30, 0, 0);
INSERT INTO readings VALUES (0, 0, 10000000, 42, 0, 0, 10000001, 1);
INSERT INTO positions VALUES ('READINGS', 12);
"""


@pytest.fixture
def version_1_file(tmp_path: Path) -> Path:
    path = tmp_path / "history.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(_VERSION_1)
    return path


def test_a_file_of_version_1_goes_on_with_all_it_has(version_1_file: Path) -> None:
    for _ in range(2):
        store = DuckDbStore(version_1_file)
        store.record(Harvest(outputs=[output(M1, 1)]))
        assert store.read_range(M1, Obis(1, 0, 1, 8, 0), BEGIN, END)["integer"].to_pylist() == [42]
        assert store.remembered().positions == {"READINGS": 12}
        assert said(store, "m1") == [("m1", 1, 0, "{}")]
        store.close()
    with duckdb.connect(version_1_file) as connection:
        assert connection.sql("FROM layout").fetchall() == [(2, 9)]


def test_an_upgrade_that_breaks_off_leaves_version_1(
    version_1_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {1: "CREATE TABLE outputs (id INTEGER); SELECT error('the disk is full');"}
    monkeypatch.setattr("metertwin.store.connection.UPGRADES", broken)
    with pytest.raises(Exception, match="disk is full"):
        DuckDbStore(version_1_file)
    with duckdb.connect(version_1_file) as connection:
        assert connection.sql("SELECT version FROM layout").fetchall() == [(1,)]
        assert ("outputs",) not in connection.sql("SHOW TABLES").fetchall()
