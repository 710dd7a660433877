"""Whether a host may take a lot, by how its group is cut now."""

import structlog

from metertwin.bus.connection import Bus
from metertwin.bus.cuts import Cuts
from metertwin.twins.group import CutOtherwiseError
from metertwin.twins.settings import GroupSettings

log = structlog.get_logger(__name__)


async def cut_at_take(bus: Bus, settings: GroupSettings) -> int:
    """Return the number of the cut that counts; whoever just claimed a lot of the group asks.

    An attempt to cut the group otherwise is given up: its owner went away after it had settled, and
    who takes its place knows nothing of it.

    Raises:
        CutOtherwiseError: It is cut otherwise than the settings say.
        UnavailableError: The bus does not answer.
    """
    cuts = Cuts(bus, settings.id)
    record = await cuts.look()
    if record is None:
        return 0
    if record.begun is not None:
        log.warning("cut_given_up", group=settings.lot, number=record.begun.number)
        record = await cuts.give_up(record.begun.number)
    if record.decided is not None and not record.is_finished:
        await cuts.pass_claims(record.decided)
    if record.size != settings.twins_per_container:
        raise CutOtherwiseError(
            f"Group {settings.id} is cut into containers of {record.size or 'all'} twins, and the "
            f"settings of {settings.lot} say {settings.twins_per_container or 'all'}. Start its "
            "host anew, with the site's settings of now.",
            group=settings.id,
        )
    return record.number


async def number_of_cut(bus: Bus, settings: GroupSettings) -> int:
    """Return the number of the cut that counts; raises UnavailableError."""
    record = await Cuts(bus, settings.id).look()
    return 0 if record is None else record.number
