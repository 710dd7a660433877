"""A group as it was last heard of: its values with their ages, never as if they were fresh."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from metertwin.core.clock import Clock
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.twin import AnswerSource, TwinDocument, TwinStatus
from metertwin.twins.answers import Answers
from metertwin.twins.group import TwinGroup
from metertwin.twins.known_desired import KnownDesired
from metertwin.twins.site_watch import SiteStanding
from metertwin.twins.view import TwinView
from metertwin.twins.wishes import WishStore


class SiteUnreachableError(UnavailableError):
    """The site that has the answer cannot be reached."""

    code = "unavailable.site"


class LastKnownView(TwinView):
    """A view in which no twin is in step, however young its values are."""

    def _status(self, _now_us: int, _last_received_at_us: int) -> TwinStatus:
        return TwinStatus.UNREACHABLE


@dataclass(frozen=True, slots=True)
class _NoReader:
    """Stands where an owner has its gateway."""

    group: GroupId
    standing: Callable[[], SiteStanding]

    async def read_all(self, _meter: MeterId, _deadline_s: float) -> None:
        """Say that the meter cannot be read from here."""
        raise SiteUnreachableError(self.standing().sentence(self.group), group=self.group)


@dataclass(slots=True)
class LastKnownGroup:
    """What is known here of a group hosted elsewhere."""

    group: TwinGroup
    clock: Clock
    known: KnownDesired
    wishes: WishStore
    standing: Callable[[], SiteStanding]
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.answers = Answers(
            self.group,
            _NoReader(self.group.settings.id, self.standing),
            self.clock,
            LastKnownView(self.group, self.clock),
            AnswerSource.LAST_KNOWN,
        )

    def document(self, meter: MeterId) -> TwinDocument:
        """Return the last that is known of a twin; its owner's epoch is not."""
        place = (self.group.settings.id, meter)
        document = self.answers.document(meter, 0, self.known.states.get(place))
        return replace(document, wishes={wish.path: wish.value for wish in self.wishes.of(place)})

    def facts(self) -> dict[str, object]:
        """Return how the group stands."""
        standing = self.standing()
        group = self.group.settings.id
        waiting = [each for each in self.wishes.waiting if each[0] == group]
        return {
            "status": TwinStatus.UNREACHABLE,
            "reason": standing.sentence(group),
            "site": standing.site,
            "heard_at": standing.heard_at,
            "group": group,
            "twins": len(self.group.columns),
            "in_step": 0,
            "wishes": sum(len(self.wishes.of(each)) for each in waiting),
            "stream_sequence": self.group.stream_sequence,
        }
