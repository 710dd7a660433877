"""Reading the API's stream of server-sent events."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from metertwin.cli.client import ApiClient


def messages(api: ApiClient, filters: Mapping[str, object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of each message of the live stream, until it ends."""
    with api.stream("/v1/events/stream", filters) as answer:
        yield from parsed(answer.iter_lines())


def parsed(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of each server-sent event; comments are passed over.

    Example:
        >>> list(parsed(["event: missed", 'data: {"missed_count":3}', "", ": still here", ""]))
        [('missed', {'missed_count': 3})]
    """
    name, data = "message", ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data += line.removeprefix("data: ")
        elif not line and data:
            yield name, msgspec.json.decode(data)
            name, data = "message", ""
