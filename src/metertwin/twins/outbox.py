"""Accepted commands and their answers onto the bus, durably, once per id and status."""

from dataclasses import dataclass

from metertwin.bus.messages import encode
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import WHOLE_GROUP, Kind, subject
from metertwin.core.clock import to_us
from metertwin.core.command import Command, CommandOutcome, CommandStatus
from metertwin.core.event import Event
from metertwin.core.ids import GroupId
from metertwin.core.output import AppOutput
from metertwin.twins.apps.effects import output_identity


@dataclass(frozen=True, slots=True)
class BusOutbox:
    """The outbox of one group on the bus."""

    publisher: Publisher
    group: GroupId

    async def send(self, command: Command, outcome: CommandOutcome) -> None:
        """Publish the answer and, if it is accepted, the command to the group's gateway."""
        to = subject(self.group, Kind.OUTCOME, command.meter)
        # With the meter: hosts of two shares do not know each other's ids.
        identity = f"{command.id}:{command.meter}"
        await self.publisher.publish(to, encode(outcome), f"{identity}:{outcome.status}")
        if outcome.status is CommandStatus.ACCEPTED:
            to = subject(self.group, Kind.COMMAND, command.meter)
            await self.publisher.publish(to, encode(command), identity)
        await self.publisher.flush()

    async def send_event(self, event: Event) -> None:
        """Publish an event that the twin concluded."""
        to = subject(self.group, Kind.EVENT, event.meter)
        identity = f"{event.meter}:{event.source}:{to_us(event.captured_at)}:{event.code}"
        await self.publisher.publish(to, encode(event), identity)

    async def send_output(self, output: AppOutput) -> None:
        """Publish what an app concluded."""
        to = subject(self.group, Kind.OUTPUT, output.meter or WHOLE_GROUP)
        await self.publisher.publish(to, encode(output), output_identity(output))

    async def flush(self) -> None:
        """Return when all that was published is stored."""
        await self.publisher.flush()
