"""Talking to a site's API from the command line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from metertwin.bus.place import host_and_port
from metertwin.core.errors import MeterTwinError, UnavailableError
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory
from metertwin.fleet.token import load_token

_CONNECT_WITHIN_S = 3.0
_ANSWER_WITHIN_S = 70.0  # the API's own longest deadline is 60 s
_JSON = "application/json"


class ApiAnswerError(MeterTwinError):
    """The API answered with a problem; its sentence is ours."""

    code = "cli.api"


class ApiClient:
    """A connection to the API of the site in `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        state = StateDirectory(state_dir)
        site = load_site(state.site_file)
        self.url = f"http://{host_and_port(site.api_host, site.api_port)}"
        self._client = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {load_token(state.api_token_file)}"},
            timeout=httpx.Timeout(_ANSWER_WITHIN_S, connect=_CONNECT_WITHIN_S),
            trust_env=False,  # a proxy for the internet has no business on loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401  JSON is anything
        """Return what the API answers to a GET; parameters that are None are left out."""
        return self._sent("GET", path, params=_given(parameters)).json()

    def get_bytes(self, path: str, parameters: Mapping[str, object], accept: str) -> bytes:
        """Return the answer's bytes in the form `accept`."""
        answer = self._sent("GET", path, params=_given(parameters), headers={"accept": accept})
        return answer.content

    def send(
        self, method: str, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401  JSON is anything
        """Return what the API answers to a request with a JSON body."""
        return self._sent(method, path, json=body, headers=dict(headers or {})).json()

    def health(self) -> Any:  # noqa: ANN401  JSON is anything
        """Return the health document, which also comes with status 503."""
        answer = self._request("GET", "/healthz")
        if answer.headers.get("content-type", "").startswith(_JSON):
            return answer.json()
        raise _problem(answer)

    @contextmanager
    def stream(self, path: str, parameters: Mapping[str, object]) -> Iterator[httpx.Response]:
        """Open an event stream, which is silent for as long as nothing happens."""
        timeout = httpx.Timeout(None, connect=_CONNECT_WITHIN_S)
        try:
            with self._client.stream(
                "GET", path, params=_given(parameters), timeout=timeout
            ) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _sent(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  httpx' own keywords
        answer = self._request(method, path, **options)
        if answer.is_error:
            raise _problem(answer)
        return answer

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  httpx' own keywords
        try:
            return self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> UnavailableError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return UnavailableError(
                f"Nothing answers at {self.url}; is the site running? `metertwin run api --state "
                "DIR` starts its API.",
                url=self.url,
            )
        return UnavailableError(f"The API at {self.url} broke off: {error}.", url=self.url)


def _given(parameters: Mapping[str, object] | None) -> dict[str, Any]:
    return {name: value for name, value in (parameters or {}).items() if value is not None}


def _problem(answer: httpx.Response) -> ApiAnswerError:
    try:
        document = answer.json()
        return ApiAnswerError(str(document["detail"]), problem=document)
    except (ValueError, KeyError, TypeError):
        return ApiAnswerError(
            f"{answer.url} answered {answer.status_code} without saying why; is it MeterTwin's API?"
        )
