"""What a twin host is told about its groups."""

from typing import Annotated, Any

import msgspec

from metertwin.core.command import CommandKind
from metertwin.core.ids import GroupId, MeterId


class AppGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An app at work for a group, and what it may do there.

    Attributes:
        name: As in its entry point.
        version: Of the app; empty: whichever is installed.
        grants: Kinds of command it may propose.
        config: The app's own settings; its documentation names them.
        seed: Seed of the randomness it is given, 0 or more.
    """

    name: str
    version: str = ""
    grants: tuple[CommandKind, ...] = ()
    config: dict[str, Any] = {}
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


class GroupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group of twins.

    Attributes:
        id: The group.
        meters: Meters known to hang on it; others that send readings get a twin as well.
        protected_meters: Usage points that must never be disconnected, such as home dialysis.
        freshness_s: A twin is in step while its newest value is not older, in the meters' time.
        disconnects_per_hour_count: Interlock against switching off a street by mistake.
        apps: Apps at work for it.
        maximal_power_w: Highest power a connection can carry, in W, or var for reactive energy: a
            register that falls by less than that brings went through its end, else it was reset.
    """

    id: GroupId
    meters: tuple[MeterId, ...] = ()
    protected_meters: tuple[MeterId, ...] = ()
    freshness_s: float = 900.0
    disconnects_per_hour_count: int = 5
    apps: tuple[AppGrant, ...] = ()
    maximal_power_w: float = 100_000.0


class TwinHostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One twin host.

    Attributes:
        name: Name of the host, shown as the owner of its groups.
        groups: The groups it hosts.
        checkpoint_every_s: Longest time between two checkpoints of a changed group, in s of this
            machine. A crash replays at most that much of the stream.
        state_every_s: Shortest time between two live state messages of a group, in s.
    """

    name: str
    groups: tuple[GroupSettings, ...]
    checkpoint_every_s: float = 10.0
    state_every_s: float = 0.5
