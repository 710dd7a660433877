"""What another image would say of a group's own past: rehearsed in both images, then compared."""

import asyncio
from dataclasses import dataclass

import msgspec

from metertwin.apps.rehearsal.difference import Difference, difference
from metertwin.apps.rehearsal.run import Rehearsal
from metertwin.core.ids import GroupId
from metertwin.fleet.local.launch import LocalSite

_WITHIN_S = 600.0
_DAYS = 62
_OUT = "rehearsal.json"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One app over one group's recorded intervals, in both images."""

    group: GroupId
    app: str
    told: Difference

    @property
    def count(self) -> int:
        """How many outputs, findings and proposals would be otherwise."""
        sides = (self.told.added, self.told.removed)
        return len(self.told.changed_outputs) + sum(
            len(side.outputs) + len(side.findings) + len(side.proposals) for side in sides
        )


async def rehearse_in_both(
    asked: LocalSite, group: GroupId, app: str, old_image: str, new_image: str
) -> Rehearsed:
    """Run an app over a group's history in two images and return what the new one says otherwise.

    Args:
        asked: The site whose recorder has the history.
        group: The group.
        app: The app's name.
        old_image: What runs today.
        new_image: What is tried.

    Raises:
        PartError: One of the images cannot rehearse; its last words are in the sentence.
    """
    before, after = await asyncio.gather(
        _rehearse(asked, group, app, old_image, "old"),
        _rehearse(asked, group, app, new_image, "new"),
    )
    return Rehearsed(group, app, difference(before, after))


async def _rehearse(
    asked: LocalSite, group: GroupId, app: str, image: str, which: str
) -> Rehearsal:
    name = f"rehearsal-{which}-{group}-{app}".replace("_", "-")
    out = asked.home(name).root / _OUT
    # Two months hold a whole billing month on any day.
    argv = ("rehearse", group, app, "--days", str(_DAYS), "--out", str(out.resolve()))
    await asked.run_task(name, argv, image, _WITHIN_S)
    return msgspec.json.decode(out.read_bytes(), type=Rehearsal)
