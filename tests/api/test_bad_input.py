# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""Bad input at each door ends in a problem document, never in a 500."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metertwin.api.moments import MomentError, parse_moment
from metertwin.api.problems import STATUS_OF_CODE, status_of

HISTORY = "/v1/twins/m-00001/history/1-0:1.8.0*255"
TEXT = st.text(min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)


def check_problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == "urn:metertwin:problem:" + problem["code"]
    assert problem["detail"]
    assert status_of(problem["code"]) == answer.status_code
    return problem


WRONG_REQUESTS = [
    ("/v1/twins?limit=1001", "input.invalid", "limit"),
    ("/v1/twins?offset=-1", "input.invalid", "offset"),
    ("/v1/twins?limt=5", "input.unknown_parameter", "does not know limt; it knows group, "),
    ("/v1/twins?status=fine", "input.invalid", "status"),
    ("/v1/twins?group=g9", "not_found.group", "There is no group 'g9'; there are g1, g2."),
    ("/v1/twins/m.1", "input.id", "write 1 to 64 of A-Z a-z 0-9 _ -"),
    (HISTORY + "?start=yesterday", "input.time", "start is 'yesterday', which is no ISO 8601"),
    (HISTORY + "?end=2026-03-29T12:00:00", "input.time", "says no zone"),
    (
        HISTORY + "?start=2026-03-29T12:00:00Z&end=2026-03-29T12:00:00Z",
        "input.time",
        "is not before end",
    ),
    (HISTORY + "?every_s=900", "input.resample", "give both or neither"),
    ("/v1/twins/m-00001/history/energy", "input.obis", "write A-B:C.D.E*F"),
    ("/v1/twins/m-00001/history/1-0:1.8.0*256", "input.obis", "has a group of 256"),
    ("/v1/events/stream?kind=noise", "input.kind", "it has event, outcome, output, state."),
    ("/v1/groups/g9/outputs", "not_found.group", "There is no group 'g9'"),
    ("/v1/groups/g1/outputs?limit=0", "input.invalid", "limit"),
    ("/v1/groups/g1/outputs?nam=bill", "input.unknown_parameter", "it knows all_revisions, app"),
    ("/v1/twins/m-00001/outputs?start=today", "input.time", "start is 'today'"),
    ("/v1/groups/g1/intervals", "input.invalid", "obis"),
    ("/v1/groups/g1/intervals?obis=energy", "input.obis", "write A-B:C.D.E*F"),
    ("/v1/groups/g1/intervals?obis=1.8.0&format=xml", "input.invalid", "format"),
    ("/v1/groups/g1/intervals?obis=1.8.0&form=csv", "input.unknown_parameter", "format"),
    ("/v1/groups/g1/intervals?obis=1.8.0&meter=a.b", "input.id", "Meter id"),
    ("/v1/groups/g9/intervals?obis=1.8.0", "not_found.group", "There is no group 'g9'"),
    ("/v1/groups/g1/intervals?obis=2.8.0", "input.limit", "ask for 1 meters"),
    ("/v1/commands/a.b", "input.id", "Command id"),
    ("/v2/twins", "not_found", "There is no /v2/twins; /openapi.json lists"),
]


async def test_a_wrong_request_is_told_what_is_wrong(site: Any) -> None:
    for path, code, sentence in WRONG_REQUESTS:
        problem = check_problem(await site.http.get(path))
        assert problem["code"] == code, path
        assert sentence in problem["detail"], path


WRONG_COMMANDS = [
    (b'{"kind":"explode"}', "Invalid enum value 'explode'"),
    (b'{"kind":"disconnect","expires_in_s":0}', "> 0"),
    (b'{"kind":"disconnect","when":"now"}', "unknown field `when`"),
    (b"{", "Input data was truncated."),
    (b'{"kind":"set_limit","arguments":{"limit_w":[3]}}', "Expected `int | str`"),
]


async def test_a_wrong_command_is_refused_before_anybody_hears_of_it(site: Any) -> None:
    for body, sentence in WRONG_COMMANDS:
        answer = await site.http.post("/v1/twins/m-00001/commands", content=body)
        problem = check_problem(answer)
        assert problem["status"] == 400, body
        assert sentence in problem["detail"], body
    assert site.hosts["g1"].commands == {}


async def test_a_large_body_is_refused(site: Any) -> None:
    answer = await site.http.post("/v1/twins/m-00001/commands", content=b" " * 70_000)
    assert check_problem(answer)["status"] == 413


async def test_a_wrong_method_is_refused(site: Any) -> None:
    problem = check_problem(await site.http.delete("/v1/twins"))
    assert problem["code"] == "method_not_allowed"
    assert problem["detail"] == "/v1/twins does not know DELETE."


async def test_no_query_ends_in_a_fault_of_ours(site: Any) -> None:
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        path=st.sampled_from(["/v1/twins", HISTORY, "/v1/ledger", "/v1/twins/m-00001/events"]),
        name=st.sampled_from(
            ["search", "group", "status", "offset", "limit", "start", "end", "every_s", "how"]
        )
        | TEXT,
        value=TEXT | st.integers().map(str) | st.datetimes().map(str),
    )
    def build(path: str, name: str, value: str) -> None:
        cases.append(f"{path}?{quote(name)}={quote(value)}")

    cases: list[str] = []
    build()
    for case in cases:
        answer = await site.http.get(case)
        assert answer.status_code in {200, 400, 404}, case
        if answer.is_error:
            check_problem(answer)


async def test_no_body_and_no_path_ends_in_a_fault_of_ours(site: Any) -> None:
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        meter=st.just("m-00001") | TEXT,
        door=st.sampled_from(["commands", "requests/usage_now", "requests/x.y", "desired"]),
        body=JSON.map(msgspec.json.encode) | st.binary(max_size=30),
        key=st.text("abcXYZ019_- .*", max_size=70),
    )
    def build(meter: str, door: str, body: bytes, key: str) -> None:
        cases.append((f"/v1/twins/{quote(meter, safe='')}/{door}", body, key.strip()))

    cases: list[tuple[str, bytes, str]] = []
    build()
    for path, body, key in cases:
        method = "PATCH" if path.endswith("desired") else "POST"
        headers = {"idempotency-key": key, "content-type": "application/json"}
        answer = await site.http.request(method, path, content=body, headers=headers)
        assert answer.status_code in {200, 202, 400, 404, 405, 409}, (path, body, answer.text)
        if answer.is_error:
            check_problem(answer)


@given(text=st.text(max_size=40))
def test_any_text_is_a_utc_time_or_a_clear_error(text: str) -> None:
    try:
        moment = parse_moment("start", text)
    except MomentError as error:
        assert str(error).startswith("start is ")  # noqa: PT017 - either outcome is right
    else:
        assert moment.tzinfo is UTC


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_a_written_time_is_read_back(moment: datetime) -> None:
    assert parse_moment("start", moment.isoformat()) == moment


def test_a_plus_that_became_a_space_is_still_a_zone() -> None:
    # 03:00 at UTC+2 is 01:00 UTC.
    assert parse_moment("end", "2026-03-29T03:00:00 02:00") == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_every_status_of_the_table_is_an_error() -> None:
    assert all(400 <= status < 600 for status in STATUS_OF_CODE.values())
    assert status_of("not_found.twin") == 404
    assert status_of("auth.token_file") == 500
    assert status_of("bus.wire") == 500
