"""What apps returned and what is not yet known to be carried out.

It is kept in the checkpoint until it is: a state that covers an interval never stands without what
was concluded from it. Carrying out again is harmless, because every part has an identity.
"""

import hashlib
import zlib
from datetime import datetime
from typing import cast

import msgspec

from metertwin.apps.app import Finding, Outcome, Output, Proposal
from metertwin.core.clock import to_us
from metertwin.core.command import Command
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import CommandId, GroupId, meter_id
from metertwin.core.output import AppOutput
from metertwin.twins.apps.hosted_app import HostedApp

_FIRST_CODE = 2**30  # below, negated, are the codes of the twin's own events


class Effects(msgspec.Struct, array_like=True, frozen=True):
    """What one call of one app brought about, and the meters' time of the call."""

    app: str
    at: datetime
    outputs: list[AppOutput]
    events: list[Event]
    proposals: list[Proposal]


def effects_of(hosted: HostedApp, outcome: Outcome, now: datetime) -> Effects:
    """Return an outcome as it is carried out.

    Raises:
        TypeError: It holds something that is no plain value; a fault of the app.
        msgspec.ValidationError: A field is of another type; likewise.
        InvalidInputError: A meter's id is none, or a time has no zone; likewise.
    """
    assert hosted.info is not None
    version = hosted.info.version
    effects = Effects(
        app=hosted.name,
        at=now,
        outputs=[_output(hosted, version, each, now) for each in outcome.outputs],
        events=[_event(hosted.name, each, now) for each in outcome.findings],
        proposals=[*outcome.proposals],
    )
    _check(effects)
    tally = hosted.tally
    tally.output_count += len(outcome.outputs)
    tally.finding_count += len(outcome.findings)
    tally.proposal_count += len(outcome.proposals)
    return effects


def _check(effects: Effects) -> None:
    """Raise unless the effects can be kept and sent: later there is nobody to blame."""
    msgspec.msgpack.decode(msgspec.msgpack.encode(effects), type=Effects)
    for meter in (
        *(output.meter for output in effects.outputs if output.meter is not None),
        *(event.meter for event in effects.events),
        *(proposal.meter for proposal in effects.proposals),
    ):
        meter_id(meter)
    for moment in (
        *(output.at for output in effects.outputs),
        *(event.captured_at for event in effects.events),
        *(proposal.expires_at for proposal in effects.proposals),
    ):
        to_us(moment)


def output_identity(output: AppOutput) -> str:
    """Return by what an output is known; groups have outputs of their own."""
    about = output.meter or "_"
    moment = f"{to_us(output.at)}:{output.revision}"
    return f"{output.group}:{output.app}:{about}:{output.name}:{moment}"


def command_of(group: GroupId, app: str, proposal: Proposal, now: datetime) -> Command:
    """Return the command that a proposal stands for; the same proposal gives the same id."""
    cause = f"{group}\n{app}\n{proposal.meter}\n{proposal.id}"
    digest = hashlib.blake2b(cause.encode(), digest_size=16).hexdigest()
    return Command(
        id=CommandId(f"app-{digest}"),
        meter=proposal.meter,
        group=group,
        kind=proposal.kind,
        issued_by=f"app:{app}",
        issued_at=now,
        expires_at=proposal.expires_at,
        arguments=dict(proposal.arguments),
    )


def event_code(app: str, name: str) -> int:
    """Return the code of an app's findings of one name: negative, the same everywhere."""
    return -(_FIRST_CODE | zlib.crc32(f"{app}.{name}".encode()) & (_FIRST_CODE - 1))


def refusal(effects: Effects, proposal: Proposal, reason: str) -> Event:
    """Return the event that tells that a proposal was not followed."""
    name = "app_command_refused"
    return Event(
        meter=proposal.meter,
        source=EventSource.TWIN,
        code=event_code(effects.app, f"{name}.{proposal.id}"),
        name=name,
        captured_at=effects.at,
        received_at=effects.at,
        detail=reason,
    )


def _output(hosted: HostedApp, version: str, output: Output, now: datetime) -> AppOutput:
    value = msgspec.to_builtins(dict(output.value))
    return AppOutput(
        app=hosted.name,
        app_version=version,
        group=hosted.group,
        meter=output.meter,
        name=_output_name(hosted, output),
        at=output.at,
        revision=output.revision,
        issued_at=now,
        value=cast("dict[str, object]", value),
    )


def _output_name(hosted: HostedApp, output: Output) -> str:
    """Return under which name an output is kept: what is said of a share is not of the group."""
    is_of_share = hosted.share and output.meter is None
    return f"{output.name}/{hosted.share}" if is_of_share else output.name


def _event(app: str, finding: Finding, now: datetime) -> Event:
    return Event(
        meter=finding.meter,
        source=EventSource.TWIN,
        code=event_code(app, finding.name),
        name=finding.name,
        captured_at=finding.at,
        received_at=now,
        detail=finding.detail,
    )
