"""A twin host's side of commands: for several tests of this folder."""

from datetime import timedelta
from typing import Any

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import encode
from metertwin.bus.subjects import Kind, subject
from metertwin.core.command import Command, CommandKind
from metertwin.core.ids import CommandId, GroupId
from metertwin.gateway.durable import publish_until_stored

Scene = Any  # of conftest, which cannot be imported


class Commander:
    """A twin host that owns the group and commands its meters."""

    def __init__(self, bus: Bus, scene: Scene, group: GroupId, epoch: int) -> None:
        self.bus, self.scene, self.group, self.epoch = bus, scene, group, epoch
        self._sent_count = 0

    def command(self, meter: str, kind: CommandKind, **arguments: int) -> Command:
        self._sent_count += 1
        now = self.scene.clock.now()
        return Command(
            id=CommandId(f"{self.group}-c{self._sent_count}"),
            meter=msgspec.convert(meter, str),  # type: ignore[arg-type]  # an id in the making
            group=self.group,
            kind=kind,
            issued_by="test",
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
            arguments=arguments,
            epoch=self.epoch,
        )

    async def send(self, command: Command, identity: str | None = None) -> None:
        to = subject(self.group, Kind.COMMAND, command.meter)
        await publish_until_stored(self.bus, to, encode(command), identity or command.id)

    async def settled(self, command: Command) -> Any:  # noqa: ANN401 - an outcome
        outcomes = self.scene.published.outcomes
        await self.scene.until(
            lambda: any(each.command == command.id for each in outcomes), f"{command.kind}'s end"
        )
        (outcome,) = [each for each in outcomes if each.command == command.id]
        return outcome
