"""Batches and messages as the rows that are stored."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pyarrow as pa

from metertwin.core.batch import Int64s, ReadingBatch
from metertwin.core.clock import to_us
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.event import Event
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.ledger import Kept
from metertwin.core.output import AppOutput
from metertwin.core.reading import Register
from metertwin.store.harvest import RefusedMessage
from metertwin.store.rivals import Columns

MeterIds = Callable[[GroupId, Sequence[MeterId]], Int64s]
GroupIds = Callable[[GroupId], int]
RegisterIds = Callable[[Sequence[Register]], Int64s]


def columns_of(
    readings: Sequence[tuple[ReadingBatch, Kept | None]],
    meter_ids: MeterIds,
    register_ids: RegisterIds,
) -> Columns:
    """Return the kept readings of several batches as one set of columns (see `rivals.NAMES`)."""
    parts = [_batch_columns(batch, kept, meter_ids, register_ids) for batch, kept in readings]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batch_columns(
    batch: ReadingBatch, kept: Kept | None, meter_ids: MeterIds, register_ids: RegisterIds
) -> Columns:
    columns: Columns = {
        "meter_id": np.repeat(meter_ids(batch.group, batch.meters), batch.counts),
        "register_id": register_ids(batch.registers)[batch.register_index],
        "captured_at_us": batch.captured_at_us,
        "integer": batch.integers,
        "quality": batch.quality,  # type: ignore[dict-item] # see `rivals.Columns`
        "origin": batch.origin,  # type: ignore[dict-item] # see `rivals.Columns`
        "received_at_us": batch.received_at_us,
        "sequence": batch.sequences(),
    }
    if kept is None:
        return columns
    return {name: column[kept] for name, column in columns.items()}


def event_rows(events: Sequence[tuple[GroupId, Event]], meter_ids: MeterIds) -> pa.Table:
    """Return events as a table."""
    return pa.table(
        {
            "meter_id": [int(meter_ids(group, [event.meter])[0]) for group, event in events],
            "source": [event.source.value for _, event in events],
            "code": [event.code for _, event in events],
            "captured_at_us": [to_us(event.captured_at) for _, event in events],
            "received_at_us": [to_us(event.received_at) for _, event in events],
            "name": [event.name for _, event in events],
            "detail": [event.detail for _, event in events],
        }
    )


def command_rows(commands: Sequence[Command], meter_ids: MeterIds) -> pa.Table:
    """Return commands as a table; their arguments as JSON."""
    return pa.table(
        {
            "id": [str(command.id) for command in commands],
            "meter_id": [int(meter_ids(command.group, [command.meter])[0]) for command in commands],
            "kind": [command.kind.value for command in commands],
            "arguments": [msgspec.json.encode(command.arguments).decode() for command in commands],
            "issued_by": [command.issued_by for command in commands],
            "issued_at_us": [to_us(command.issued_at) for command in commands],
            "expires_at_us": [to_us(command.expires_at) for command in commands],
            "epoch": [command.epoch for command in commands],
        }
    )


def outcome_rows(
    outcomes: Sequence[tuple[GroupId, CommandOutcome]], meter_ids: MeterIds
) -> pa.Table:
    """Return answers to commands as a table."""
    return pa.table(
        {
            "id": [str(outcome.command) for _, outcome in outcomes],
            "meter_id": [int(meter_ids(group, [outcome.meter])[0]) for group, outcome in outcomes],
            "status": [outcome.status.value for _, outcome in outcomes],
            "at_us": [to_us(outcome.at) for _, outcome in outcomes],
            "reason": [outcome.reason for _, outcome in outcomes],
        }
    )


def output_rows(outputs: Sequence[AppOutput], meter_ids: MeterIds, group_ids: GroupIds) -> pa.Table:
    """Return outputs of apps as a table, each once; their values as JSON."""
    first: dict[object, AppOutput] = {}
    for output in outputs:
        first.setdefault(_output_key(output), output)
    numbers = [
        None if each.meter is None else int(meter_ids(each.group, [each.meter])[0])
        for each in first.values()
    ]
    return pa.table(
        {
            "group_id": [group_ids(output.group) for output in first.values()],
            "app": [output.app for output in first.values()],
            "app_version": [output.app_version for output in first.values()],
            "meter_id": pa.array(numbers, pa.int32()),
            "name": [output.name for output in first.values()],
            "at_us": [to_us(output.at) for output in first.values()],
            "revision": [output.revision for output in first.values()],
            "issued_at_us": [to_us(output.issued_at) for output in first.values()],
            "value": [msgspec.json.encode(output.value).decode() for output in first.values()],
        }
    )


def _output_key(output: AppOutput) -> object:
    return output.group, output.app, output.meter, output.name, output.at, output.revision


def refused_rows(refused: Sequence[RefusedMessage]) -> pa.Table:
    """Return messages put aside as a table."""
    return pa.table(
        {
            "stream": [message.stream for message in refused],
            "stream_sequence": [message.stream_sequence for message in refused],
            "subject": [message.subject for message in refused],
            "octets": pa.array([message.octets for message in refused], pa.binary()),
            "code": [message.code for message in refused],
            "reason": [message.reason for message in refused],
            "refused_at_us": [to_us(message.refused_at) for message in refused],
        }
    )
