# ruff: noqa: ANN401 - conftest's Site cannot be imported under importlib mode
"""Who gets in."""

import stat
from pathlib import Path
from typing import Any

import pytest

from metertwin.fleet.token import TokenError, ensure_token, load_token

PATHS = ["/v1/twins", "/v1/ledger", "/metrics", "/openapi.json", "/v1/events/stream", "/nowhere"]


async def test_nothing_but_health_answers_without_the_token(site: Any) -> None:
    for path in PATHS:
        answer = await site.anonymous.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'Bearer realm="metertwin"'
        assert answer.json()["code"] == "auth"
        assert site.token not in answer.text


async def test_a_token_that_is_nearly_right_is_wrong(site: Any) -> None:
    for given in ("", "Bearer", "Basic {token}", "Bearer {token}x", "Bearer {token} {token}"):
        headers = {"authorization": given.format(token=site.token)}
        answer = await site.anonymous.get("/v1/groups", headers=headers)
        assert answer.status_code == 401, given


async def test_the_scheme_is_named_in_any_case(site: Any) -> None:
    headers = {"authorization": f"bearer {site.token}"}
    assert (await site.anonymous.get("/v1/groups", headers=headers)).status_code == 200


async def test_health_needs_no_token_and_says_which_part_is_down_and_why(site: Any) -> None:
    answer = await site.anonymous.get("/healthz")
    assert answer.status_code == 503  # this site has no gateway
    parts = {part["part"]: part for part in answer.json()["parts"]}
    assert parts["bus"]["is_up"]
    assert parts["twin-host of g1"]["is_up"]
    assert parts["recorder of g1"]["is_up"]
    assert not parts["gateway of g1"]["is_up"]
    assert "is not running" in parts["gateway of g1"]["reason"]


async def test_without_a_bus_health_says_so(site: Any) -> None:
    await site.server.kill()
    answer = await site.anonymous.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["parts"][0]["part"] == "bus"
    listing = await site.http.get("/v1/twins/m-00001")
    assert (listing.status_code, listing.json()["code"]) == (503, "unavailable")


async def test_figures_count_routes_not_paths(site: Any) -> None:
    await site.http.get("/v1/twins/m-00001")
    await site.http.get("/v1/twins/m-00002")
    await site.anonymous.get("/v1/twins/m-00003")
    text = (await site.http.get("/metrics")).text
    assert 'metertwin_http_requests_total{route="/v1/twins/{meter}",status="200"} 2.0' in text
    assert 'metertwin_http_requests_total{route="unknown",status="401"} 1.0' in text
    assert "m-00001" not in text


def test_a_token_is_made_once_long_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "api.token"
    token = ensure_token(path)
    assert len(token) == 43  # 32 octets in base64 without padding: ceil(32 * 4 / 3)
    assert ensure_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["api.token"]


def test_a_token_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    ensure_token(path)
    path.chmod(0o644)
    with pytest.raises(TokenError, match="mode 0644, so others may have read it"):
        load_token(path)


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    path.touch(mode=0o600)
    path.write_text("secret")
    with pytest.raises(TokenError, match="has 6 characters"):
        load_token(path)
