"""A rollout as it is wanted, and what it did."""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from metertwin.core.ids import LotId
from metertwin.fleet.moves.migration import Migration
from metertwin.fleet.rollout.postponed import POSTPONE_MOST_S, Postponement
from metertwin.fleet.rollout.rehearsal import Rehearsed
from metertwin.fleet.runtimes.spec import Limits


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "promoted"  # all groups run from the new image, the old host is gone
    ROLLED_BACK = "rolled_back"  # all groups run from the old image again
    NOT_BEGUN = "not_begun"  # a gate before the first hand-over was shut; nothing was changed


class RolloutPlan(msgspec.Struct, frozen=True):
    """A rollout as it is wanted.

    Attributes:
        groups: Which, all at one site; of a group that is cut its shares.
        image: The new image.
        canary_ratio: Share of the groups that go first, above 0 to 1; at least one goes.
        watch_s: How long the canary, and then all, are watched, in s.
        differences_most_count: Most differences in the rehearsal that are accepted; None for any.
        limits: What the new host may use; None for what the old one may.
        ending_apps: Apps at work that shall not be at work afterwards.
        postpone_most_s: How long the whole rollout waits for apps that say "not now" at most, in s.
    """

    groups: tuple[LotId, ...]
    image: str
    canary_ratio: float = 0.1
    watch_s: float = 10.0
    differences_most_count: int | None = 0
    limits: Limits | None = None
    ending_apps: tuple[str, ...] = ()
    postpone_most_s: float = POSTPONE_MOST_S


@dataclass(slots=True)
class RolloutResult:
    """What a rollout did.

    Attributes:
        reason: One sentence, why it ended so.
        moves: Each hand-over, those back included.
        postponed: Each app that asked it to wait.
    """

    plan: RolloutPlan
    outcome: Outcome
    reason: str
    rehearsed: list[Rehearsed] = field(default_factory=list)
    moves: list[Migration] = field(default_factory=list)
    postponed: list[Postponement] = field(default_factory=list)
    took_s: float = 0.0
