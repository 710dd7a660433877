"""What a gateway is told: which meters, how often, how patiently."""

import msgspec

from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId
from metertwin.core.obis import Obis
from metertwin.meters.entry import MeterEntry

DISCONNECTOR = Obis(0, 0, 96, 3, 10)
LIMITER = Obis(0, 0, 17, 0, 0)
LOAD_PROFILE = Obis(1, 0, 99, 1, 0)
EVENT_LOG = Obis(0, 0, 99, 98, 0)

# What a residential three-phase meter has to say of the moment.
DEFAULT_REGISTERS = (
    *(Obis.parse(f"1-0:1.8.{tariff}") for tariff in range(3)),
    *(Obis.parse(f"1-0:{quantity}.8.0") for quantity in (2, 3, 4)),
    *(Obis.parse(f"1-0:{quantity}.7.0") for quantity in (1, 2, 3, 4)),
    *(Obis.parse(f"1-0:{phase}2.7.0") for phase in (3, 5, 7)),
    *(Obis.parse(f"1-0:{phase}1.7.0") for phase in (3, 5, 7)),
    Obis.parse("1-0:14.7.0"),
    DISCONNECTOR,
    LIMITER,
)


class PollSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a group's meters are read.

    Attributes:
        period_s: Meters' time between two reads of a meter, above 0; reads are spread over it.
        registers: OBIS codes of what is read at the moment; what a meter lacks is left out.
        profiles: Load profiles kept complete, with different capture periods.
        event_log: The event log that is followed; None for none.
        first_profile_s: How far back the profile of a meter never read before is fetched, in the
            meters' time.
        profile_rows_count: Entries asked for in one exchange while catching up.
        concurrency_count: Meters read at once that answered in time when last asked.
        doubtful_concurrency_count: Meters read at once that did not; they wait for each other
            alone.
        slow_s: A poll that took longer makes its meter a doubtful one, in s of this machine.
        answer_timeout_s: Longest wait for one answer, in s of this machine.
        poll_timeout_s: Longest time for all answers of one poll, in s of this machine.
        retry_first_s: Pause after a first failure, doubled for each further one, in s of this
            machine.
        retry_most_s: The longest pause between two tries.
        silent_after_count: Failures in a row after which a meter is called silent.
        clock_limit_s: A meter's clock further off than this is an event, in the meters' time.
    """

    period_s: float = 300.0
    registers: tuple[str, ...] = tuple(str(obis) for obis in DEFAULT_REGISTERS)
    profiles: tuple[str, ...] = (str(LOAD_PROFILE),)
    event_log: str | None = str(EVENT_LOG)
    first_profile_s: float = 2 * 86_400.0
    profile_rows_count: int = 192
    concurrency_count: int = 64
    doubtful_concurrency_count: int = 16
    slow_s: float = 2.0
    answer_timeout_s: float = 5.0
    poll_timeout_s: float = 120.0
    retry_first_s: float = 1.0
    retry_most_s: float = 60.0
    silent_after_count: int = 3
    clock_limit_s: float = 30.0


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway of one group.

    Attributes:
        name: Name of the process, shown as the holder of the claim.
        group: The group it reads.
        meters: Its meters; those of other groups are not its business.
        poll: How they are read.
        flush_s: Longest time a reading waits for others to travel with, in s of this machine.
        flush_readings_count: Readings that make a message travel at once.
        pending_readings_count: Readings held while the bus does not answer; polling waits then.
        checkpoint_s: Time between two checkpoints, in s of this machine.
        push_port: TCP port on which meters deliver by themselves; None when they do not.
        push_host: Address it listens on.
        seed: Of the randomness that spreads retries.
        disconnects_per_hour_count: Most meters of the group disconnected within an hour.
    """

    name: str
    group: GroupId
    meters: tuple[MeterEntry, ...]
    poll: PollSettings = PollSettings()
    flush_s: float = 0.25
    flush_readings_count: int = 5_000
    pending_readings_count: int = 200_000
    checkpoint_s: float = 5.0
    push_port: int | None = None
    push_host: str = "127.0.0.1"
    seed: int = 1
    disconnects_per_hour_count: int = 5

    def check(self) -> None:
        """Raise InvalidInputError if a value is out of its range."""
        poll = self.poll
        for name, value in (
            ("period_s", poll.period_s),
            ("profile_rows_count", poll.profile_rows_count),
            ("concurrency_count", poll.concurrency_count),
            ("doubtful_concurrency_count", poll.doubtful_concurrency_count),
            ("answer_timeout_s", poll.answer_timeout_s),
            ("poll_timeout_s", poll.poll_timeout_s),
            ("retry_first_s", poll.retry_first_s),
            ("silent_after_count", poll.silent_after_count),
            ("flush_readings_count", self.flush_readings_count),
        ):
            if not value > 0:
                raise InvalidInputError(
                    f"Gateway setting {name} of group {self.group} is {value}; it must be above 0.",
                    setting=name,
                    value=value,
                )


def meters_of_group(entries: tuple[MeterEntry, ...], group: GroupId) -> tuple[MeterEntry, ...]:
    """Return the registry's entries of one group."""
    return tuple(entry for entry in entries if entry.group == group)
