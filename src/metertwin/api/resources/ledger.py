"""The ledger: from the gateway's numbers to the twins and to the store, nothing lost, all once."""

from collections.abc import Iterable

from litestar import get
from litestar.di import NamedDependency

from metertwin.api.answers import LedgerEntry, LedgerReport, LedgerTotal
from metertwin.api.asking import ask_group, ask_owner, each_group
from metertwin.api.context import DEADLINE_S, ApiContext
from metertwin.api.resources.documentation import answers
from metertwin.api.resources.parameters import GroupQuery, MeterQuery
from metertwin.api.stood_in import Told
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.core.ids import GroupId, MeterId, meter_id
from metertwin.core.twin import LedgerLine

Lines = dict[GroupId, list[LedgerLine]]


@get("/v1/ledger", summary="Show that nothing was lost", tags=["ledger"], responses=answers())
async def show_ledger(
    context: NamedDependency[ApiContext], group: GroupQuery = None, meter: MeterQuery = None
) -> LedgerReport:
    """Compare, per meter and in total, what gateway, twin and store know of its readings.

    Twin host and recorder read the stream independently, so a difference that shrinks is a reader
    catching up, and one that stays is a loss.
    """
    groups = context.directory.groups
    if meter is not None:
        groups = (await context.directory.group_of(meter_id(meter)),)
    elif group is not None:
        groups = (context.directory.checked_group(group),)

    request = Request("ledger", {})

    async def kept(one: GroupId) -> list[LedgerLine]:
        return await ask_group(
            context, one, request, list[LedgerLine], DEADLINE_S, kind=Kind.HISTORY
        )

    async def taken(one: GroupId) -> Told[list[LedgerLine]]:
        return await ask_owner(context, one, request, list[LedgerLine], DEADLINE_S)

    # The recorder first: what it counts later, the twin has had more time to apply, not less.
    stored, deaf = await each_group(groups, kept)
    told, silent = await each_group(groups, taken)
    applied = {one: each.answer for one, each in told.items()}
    entries = [entry for one in groups for entry in joined(one, applied, stored)]
    if meter is not None:
        entries = [entry for entry in entries if entry.meter == meter]
    return LedgerReport(
        total=summed(entries),
        meters=entries,
        silent={
            **{f"twin-host of {one}": why for one, why in silent.items()},
            **{f"recorder of {one}": why for one, why in deaf.items()},
        },
        last_known={one: each.old_because for one, each in told.items() if each.old_because},
    )


def joined(group: GroupId, applied: Lines, stored: Lines) -> list[LedgerEntry]:
    """Return the entries of one group's meters, by meter."""
    twins = {line.meter: line for line in applied.get(group, [])}
    store = {line.meter: line for line in stored.get(group, [])}
    return [
        _entry(
            meter,
            group,
            twins.get(meter, _nothing(meter)) if group in applied else None,
            store.get(meter, _nothing(meter)) if group in stored else None,
        )
        for meter in sorted(twins.keys() | store.keys())
    ]


def summed(entries: Iterable[LedgerEntry]) -> LedgerTotal:
    """Return the total; balanced only if every meter is."""
    kept = list(entries)
    return LedgerTotal(
        meters=len(kept),
        received=sum(entry.received for entry in kept),
        applied=sum(entry.applied or 0 for entry in kept),
        stored=sum(entry.stored or 0 for entry in kept),
        duplicate=sum(entry.duplicate for entry in kept),
        missing=sum(entry.missing for entry in kept),
        balanced=all(entry.balanced for entry in kept),
    )


def _entry(
    meter: MeterId, group: GroupId, twin: LedgerLine | None, store: LedgerLine | None
) -> LedgerEntry:
    heard = [line for line in (twin, store) if line is not None]
    received = max((line.received for line in heard), default=0)
    return LedgerEntry(
        meter=meter,
        group=group,
        received=received,
        applied=None if twin is None else twin.taken,
        stored=None if store is None else store.taken,
        duplicate=sum(line.duplicate for line in heard),
        missing=max((received - line.taken for line in heard), default=0),
        balanced=len(heard) == 2 and all(line.taken == received for line in heard),
    )


def _nothing(meter: MeterId) -> LedgerLine:
    return LedgerLine(meter, received=0, taken=0, duplicate=0, missing=0)
