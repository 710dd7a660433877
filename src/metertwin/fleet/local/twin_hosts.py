"""Which twin hosts a site runs and from what, written down for its next start.

After a rollout the groups are the second host's, and it runs from another image than the site. A
site that is started anew, perhaps in an engine that forgot everything, would else wait with its
first host for groups that are not its own.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from metertwin.core.ids import LotId
from metertwin.fleet.hosts import place_of
from metertwin.fleet.runtimes.spec import Limits
from metertwin.fleet.site import save_private


class TwinHostEntry(msgspec.Struct, frozen=True):
    """How a twin host runs.

    Attributes:
        image: What from; None for what the whole site runs from.
        limits: What it may use.
    """

    image: str | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class TwinHosts:
    """The record of one site.

    Args:
        file: Where it lies.
        first: The hosts of the site's first start, by their roles; they run from its image.
    """

    file: Path
    first: tuple[str, ...]

    def all(self) -> dict[str, TwinHostEntry]:
        """Return the hosts by their roles, of two that take turns the one that began first first.

        Where none ever ran it is the one of the first start.
        """
        written = self._written()
        places = {place_in_site(role) for role in written}
        unseen = [role for role in self.first if place_in_site(role) not in places]
        return {**{role: TwinHostEntry() for role in unseen}, **written}

    def note(self, role: str, entry: TwinHostEntry) -> None:
        """Write down a host that is about to be started; one that runs so keeps its place."""
        kept = self._written()
        if kept.get(role) != entry:
            kept.pop(role, None)
            self._write({**kept, role: entry})

    def forget(self, role: str) -> None:
        """Take out a host that was ended."""
        self._write({each: entry for each, entry in self._written().items() if each != role})

    def _written(self) -> dict[str, TwinHostEntry]:
        try:
            octets = self.file.read_bytes()
        except FileNotFoundError:
            return {}
        return msgspec.json.decode(octets, type=dict[str, TwinHostEntry])

    def _write(self, entries: dict[str, TwinHostEntry]) -> None:
        save_private(self.file, msgspec.json.encode(entries))


def place_in_site(role: str) -> LotId | None:
    """Return the share that a host is for; None for groups that lie whole."""
    place = place_of(role)
    return None if place is None else place[1]
