# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""The API's own description."""

from typing import Any

OPERATIONS = {
    ("/v1/twins", "get"),
    ("/v1/twins/{meter}", "get"),
    ("/v1/twins/{meter}/latest", "get"),
    ("/v1/twins/{meter}/desired", "patch"),
    ("/v1/twins/{meter}/requests/{name}", "post"),
    ("/v1/twins/{meter}/history/{obis}", "get"),
    ("/v1/twins/{meter}/registers", "get"),
    ("/v1/twins/{meter}/events", "get"),
    ("/v1/twins/{meter}/outputs", "get"),
    ("/v1/twins/{meter}/commands", "post"),
    ("/v1/groups/{group}/outputs", "get"),
    ("/v1/groups/{group}/intervals", "get"),
    ("/v1/twins/{meter}/usage", "get"),
    ("/v1/groups/{group}/requests/{name}", "post"),
    ("/v1/commands/{command}", "get"),
    ("/v1/ledger", "get"),
    ("/v1/events/stream", "get"),
    ("/v1/groups", "get"),
    ("/healthz", "get"),
    ("/metrics", "get"),
}


async def test_it_lists_every_operation_with_its_problems(site: Any) -> None:
    document = (await site.http.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    found = {(path, method) for path, item in document["paths"].items() for method in item}
    assert found == OPERATIONS
    for path, method in OPERATIONS - {("/healthz", "get"), ("/metrics", "get")}:
        operation = document["paths"][path][method]
        assert operation["summary"], path
        for status in ("400", "401", "404", "503", "504"):
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


async def test_its_examples_are_ours(site: Any) -> None:
    document = (await site.http.get("/openapi.json")).json()
    ask = document["paths"]["/v1/twins/{meter}/requests/{name}"]["post"]
    answers = ask["responses"]["200"]["content"]["application/json"]["examples"].values()
    assert [each["value"]["power_import"]["value"] for each in answers] == ["512"]
    assert {"max_age_s": 30, "deadline_s": 5} in (
        ask["requestBody"]["content"]["application/json"]["schema"]["examples"]
    )


async def test_the_answers_about_groups_have_examples(site: Any) -> None:
    paths = (await site.http.get("/openapi.json")).json()["paths"]

    def example(path: str, method: str) -> Any:
        content = paths[path][method]["responses"]["200"]["content"]["application/json"]
        [found] = content["examples"].values()
        return found["value"]

    assert example("/v1/groups/{group}/outputs", "get")["outputs"][0]["name"] == "bill"
    assert example("/v1/twins/{meter}/outputs", "get")["outputs"][0]["app"] == "tariff"
    assert example("/v1/groups/{group}/intervals", "get")["columns"]["value"] == [
        "120",
        "251",
        None,
    ]
    assert example("/v1/groups/{group}/requests/{name}", "post")["twins"] == 100
    names = {each["name"] for each in paths["/v1/groups/{group}/intervals"]["get"]["parameters"]}
    assert names == {"group", "obis", "start", "end", "period_s", "meter", "format"}
