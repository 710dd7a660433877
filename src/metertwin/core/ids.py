"""Names of things, as distinct types, safe to stand in a bus subject and in a file name."""

import re
from typing import NewType

from metertwin.core.errors import InvalidInputError

MeterId = NewType("MeterId", str)
GroupId = NewType("GroupId", str)
SiteId = NewType("SiteId", str)
CommandId = NewType("CommandId", str)

# A dot would split a bus subject, '*' and '>' would match others, '/' would leave a folder.
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class IdError(InvalidInputError):
    """The text cannot serve as an id."""

    code = "input.id"


def checked_token(kind: str, text: str) -> str:
    """Return `text` if it can be an id.

    Args:
        kind: What the id names, for the error's sentence.
        text: 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or digit.

    Raises:
        IdError: It has another form.
    """
    if not _TOKEN.fullmatch(text):
        raise IdError(
            f"{kind} {text[:80]!r} is not usable; write 1 to 64 of A-Z a-z 0-9 _ -, "
            "beginning with a letter or digit.",
            kind=kind,
            text=text[:80],
        )
    return text


def meter_id(text: str) -> MeterId:
    """Return the text as a meter's id; raises IdError for another form."""
    return MeterId(checked_token("Meter id", text))


def group_id(text: str) -> GroupId:
    """Return the text as a group's id; raises IdError for another form."""
    return GroupId(checked_token("Group id", text))


def site_id(text: str) -> SiteId:
    """Return the text as a site's id; raises IdError for another form."""
    return SiteId(checked_token("Site id", text))


def command_id(text: str) -> CommandId:
    """Return the text as a command's id; raises IdError for another form."""
    return CommandId(checked_token("Command id", text))
