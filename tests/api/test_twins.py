# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""Twins over HTTP, against responders on a real bus."""

from typing import Any


async def test_a_page_goes_across_groups_in_order(site: Any) -> None:
    answer = await site.http.get("/v1/twins", params={"offset": 8, "limit": 5})
    page = answer.json()
    # Ten twins in g1 (m-00000..9) and ten in g2 (m-00010..19): 8, 9, 10, 11, 12.
    assert [twin["meter"] for twin in page["items"]] == [
        f"m-{number:05}" for number in (8, 9, 10, 11, 12)
    ]
    assert page["total"] == 20
    assert page["silent"] == {}


async def test_a_silent_group_is_named_not_hidden(site: Any) -> None:
    await site.services[1].stop()
    page = (await site.http.get("/v1/twins")).json()
    assert page["total"] == 10
    assert "mt.g2.request._" in page["silent"]["g2"]


async def test_a_twin_shows_its_values_with_age_and_origin(site: Any) -> None:
    twin = (await site.http.get("/v1/twins/m-00013")).json()
    assert twin["group"] == "g2"
    value = twin["reported"]["1-0:1.7.0*255"]
    assert (value["value"], value["unit"], value["age_s"], value["origin"]) == (
        "512",
        "W",
        4.0,
        "measured",
    )
    assert value["captured_at"] == "2026-03-29T11:59:56Z"


async def test_latest_is_the_reported_part(site: Any) -> None:
    latest = (await site.http.get("/v1/twins/m-00003/latest")).json()
    assert latest["latest"]["1-0:1.7.0*255"]["integer"] == 512


async def test_a_request_carries_its_freshness_and_deadline(site: Any) -> None:
    answer = await site.http.post(
        "/v1/twins/m-00003/requests/usage_now", json={"max_age_s": 30, "deadline_s": 2}
    )
    assert answer.status_code == 200
    assert answer.json()["power_import"]["value"] == "512"
    assert answer.json()["source"] == "twin"
    assert site.hosts["g1"].asked[0].max_age_s == 30


async def test_a_request_without_a_body_takes_what_there_is(site: Any) -> None:
    answer = await site.http.post("/v1/twins/m-00003/requests/usage_now")
    assert answer.status_code == 200
    assert site.hosts["g1"].asked[0].max_age_s is None


async def test_a_meter_that_is_too_slow_is_504_and_a_silent_one_503(site: Any) -> None:
    path = "/v1/twins/m-00003/requests/read_register"
    slow = await site.http.post(path, json={"arguments": {"obis": "1.8.0"}, "max_age_s": 0})
    silent = await site.http.post(path, json={"arguments": {"obis": "1.8.0"}, "max_age_s": 5})
    assert (slow.status_code, slow.json()["code"]) == (504, "deadline")
    assert slow.json()["detail"] == "Meter m-00003 did not answer within 10 s."
    assert (silent.status_code, silent.json()["code"]) == (503, "unavailable")


async def test_an_unknown_meter_is_404_and_an_unknown_request_lists_the_known(site: Any) -> None:
    nowhere = await site.http.get("/v1/twins/m-99999")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found.twin")
    unknown = await site.http.post("/v1/twins/m-00001/requests/usage_then")
    assert unknown.json()["code"] == "not_found.request"
    assert "usage_now" in unknown.json()["detail"]


async def test_an_unknown_meter_is_503_while_a_host_that_may_have_it_is_silent(site: Any) -> None:
    await site.services[1].stop()
    answer = await site.http.get("/v1/twins/m-00013")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "group g2 does not answer" in answer.json()["detail"]


async def test_desired_state_is_changed_by_path(site: Any) -> None:
    answer = await site.http.patch("/v1/twins/m-00001/desired", json={"changes": {"limit_w": 3000}})
    assert answer.json() == {"version": 3, "desired": {"limit_w": 3000}, "kept": {}, "note": ""}


async def test_groups_say_who_hosts_them(site: Any) -> None:
    await site.services[1].stop()
    groups = (await site.http.get("/v1/groups")).json()
    assert groups[0] == {
        "group": "g1",
        "is_up": True,
        "reason": "",
        "host": {"host": "street", "epoch": 7, "twins": 10},
    }
    assert not groups[1]["is_up"]
    assert "is not running" in groups[1]["reason"]
