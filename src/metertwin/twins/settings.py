"""What a twin host is told about its groups."""

from typing import Annotated, Any

import msgspec

from metertwin.core.command import CommandKind
from metertwin.core.ids import GroupId, LotId, MeterId, lot_of


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
    """One group of twins, or one share of it.

    A group lies in one container or is cut into shares, each in a container of its own. A share
    has the meters of its settings and no others.

    Attributes:
        id: The group.
        meters: Meters known to hang on it; others that send readings get a twin as well.
        protected_meters: Usage points that must never be disconnected, such as home dialysis.
        freshness_s: A twin is in step while its newest value is not older, in the meters' time.
        disconnects_per_hour_count: Interlock against switching off a street by mistake.
        apps: Apps at work for it.
        maximal_power_w: Highest power a connection can carry, in W, or var for reactive energy: a
            register that falls by less than that brings went through its end, else it was reset.
        twins_per_container: Most twins in one container; 0 for all in one.
        share: Which share this is, from 1; 0 for the whole group.
        shares_count: Of a share: how many the group is cut into.
    """

    id: GroupId
    meters: tuple[MeterId, ...] = ()
    protected_meters: tuple[MeterId, ...] = ()
    freshness_s: float = 900.0
    disconnects_per_hour_count: int = 5
    apps: tuple[AppGrant, ...] = ()
    maximal_power_w: float = 100_000.0
    twins_per_container: Annotated[int, msgspec.Meta(ge=0)] = 0
    share: Annotated[int, msgspec.Meta(ge=0)] = 0
    shares_count: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def lot(self) -> LotId:
        """What is owned, checkpointed and moved: the group, or this share."""
        return lot_of(self.id, self.share)

    def shares(self) -> "tuple[GroupSettings, ...]":
        """Return the group's shares in the order of its meters; of an uncut group itself alone.

        Example:
            >>> two = (MeterId("a"), MeterId("b"))
            >>> cut = GroupSettings(GroupId("g"), two, twins_per_container=1)
            >>> [(each.lot, each.meters) for each in cut.shares()]
            [('g/1', ('a',)), ('g/2', ('b',))]
        """
        size = self.twins_per_container
        if not size or self.share or not self.meters:
            return (self,)
        cuts = [self.meters[start : start + size] for start in range(0, len(self.meters), size)]
        return tuple(
            msgspec.structs.replace(self, meters=meters, share=number, shares_count=len(cuts))
            for number, meters in enumerate(cuts, start=1)
        )


class TwinHostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One twin host.

    Attributes:
        name: Name of the host, shown as the owner of its groups.
        groups: The groups it hosts from their first day on.
        guests: Groups it hosts only once they are handed over to it.
        checkpoint_every_s: Longest time between two checkpoints of a changed group, in s of this
            machine. A crash replays at most that much of the stream.
        state_every_s: Shortest time between two live state messages of a group, in s.
    """

    name: str
    groups: tuple[GroupSettings, ...]
    guests: tuple[GroupSettings, ...] = ()
    checkpoint_every_s: float = 10.0
    state_every_s: float = 0.5
