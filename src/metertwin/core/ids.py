"""Names of things, as distinct types, safe to stand in a bus subject and in a file name."""

import re
from typing import NewType, TypeAlias

from metertwin.core.errors import InvalidInputError

MeterId = NewType("MeterId", str)
GroupId = NewType("GroupId", str)
SiteId = NewType("SiteId", str)
CommandId = NewType("CommandId", str)
# What a host owns, a checkpoint holds and a move moves: a group, or a share of its twins.
LotId = NewType("LotId", str)
Lot: TypeAlias = GroupId | LotId

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


def lot_of(group: GroupId, share: int) -> LotId:
    """Return the id of a group's share, or of the group itself.

    Args:
        group: The group.
        share: Number of the share, from 1; 0 for the whole group.

    Example:
        >>> lot_of(GroupId("feeder-1"), 3), lot_of(GroupId("feeder-1"), 0)
        ('feeder-1/3', 'feeder-1')
    """
    return LotId(f"{group}/{share}" if share else group)


def group_of(lot: Lot) -> GroupId:
    """Return the group that a lot is, or is a share of."""
    return GroupId(lot.partition("/")[0])


def share_of(lot: Lot) -> int:
    """Return the number of a lot's share, from 1; 0 for a whole group."""
    return int(lot.partition("/")[2] or 0)


def site_id(text: str) -> SiteId:
    """Return the text as a site's id; raises IdError for another form."""
    return SiteId(checked_token("Site id", text))


def command_id(text: str) -> CommandId:
    """Return the text as a command's id; raises IdError for another form."""
    return CommandId(checked_token("Command id", text))
