"""What a host has ready of a group that it will soon take, so that nobody waits for it then.

Past days of the window make up nearly all of a checkpoint, and of the time to restore it. Each is
kept under a name that follows from its content, so one that was decoded ahead is the one that a
later checkpoint means, or has another name and is passed over.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from metertwin.core.clock import Clock
from metertwin.twins.apps.blocks import CaptureBlock
from metertwin.twins.apps.host import AppHost
from metertwin.twins.group import TwinGroup
from metertwin.twins.settings import GroupSettings


@dataclass(slots=True, eq=False)
class ReadyGroup:
    """A group before its checkpoint: its apps are made, its twins have no state yet.

    Attributes:
        blocks: Blocks of the window decoded ahead, by name; who uses one takes it out.
    """

    group: TwinGroup
    apps: AppHost
    blocks: dict[str, CaptureBlock] = field(default_factory=dict)

    @classmethod
    def empty(cls, settings: GroupSettings, clock: Clock) -> "ReadyGroup":
        """Return a group with nothing decoded; finds and imports what its apps need."""
        group = TwinGroup(settings)
        return cls(group, AppHost(group, clock))

    async def decode(self, blocks: Mapping[str, bytes]) -> None:
        """Decode blocks, by name; the host's other groups have their turn in between."""
        for name, octets in blocks.items():
            try:
                self.blocks[name] = CaptureBlock.unpack(octets)
            except ValueError:
                continue  # whoever restores a checkpoint that needs it will say so
            await asyncio.sleep(0)

    @property
    def octets(self) -> dict[str, bytes]:
        """The blocks as they were before they were decoded."""
        return {name: block.packed()[1] for name, block in self.blocks.items()}
