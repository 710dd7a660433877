"""What two rehearsals did differently."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from metertwin.apps.app import Finding, Output, Proposal
from metertwin.apps.rehearsal.run import Rehearsal

Said = TypeVar("Said", Finding, Proposal)


@dataclass(frozen=True, slots=True)
class OutputChange:
    """An output of the same meter, name and moment that two rehearsals put differently."""

    before: Output
    after: Output


@dataclass(frozen=True, slots=True)
class Difference:
    """What a second rehearsal did and did not do, against a first."""

    changed_outputs: list[OutputChange]
    added: Rehearsal
    removed: Rehearsal

    @property
    def is_empty(self) -> bool:
        """Whether both did the same."""
        sides = (self.added, self.removed)
        return not self.changed_outputs and not any(
            side.outputs or side.findings or side.proposals for side in sides
        )


def difference(before: Rehearsal, after: Rehearsal) -> Difference:
    """Return what the second rehearsal did otherwise.

    Outputs are the same when meter, name, moment and value are; of several revisions of one
    output the last counts. Findings and proposals are the same when all of them is.
    """
    old, new = _newest(before.outputs), _newest(after.outputs)
    changed = [
        OutputChange(old[key], new[key])
        for key in old.keys() & new.keys()
        if dict(old[key].value) != dict(new[key].value)
    ]
    return Difference(
        changed_outputs=sorted(changed, key=lambda change: _key(change.after)),
        added=Rehearsal(
            [new[key] for key in sorted(new.keys() - old.keys())],
            _without(after.findings, before.findings),
            _without(after.proposals, before.proposals),
        ),
        removed=Rehearsal(
            [old[key] for key in sorted(old.keys() - new.keys())],
            _without(before.findings, after.findings),
            _without(before.proposals, after.proposals),
        ),
    )


def _newest(outputs: Sequence[Output]) -> dict[tuple[str, str, str], Output]:
    return {_key(each): each for each in sorted(outputs, key=lambda each: each.revision)}


def _key(output: Output) -> tuple[str, str, str]:
    return (output.meter or "", output.name, output.at.isoformat())


def _without(said: Sequence[Said], known: Sequence[Said]) -> list[Said]:
    seen = {_identity(each) for each in known}
    return [each for each in said if _identity(each) not in seen]


def _identity(said: Finding | Proposal) -> tuple[object, ...]:
    if isinstance(said, Finding):
        return (said.meter, said.name, said.at, said.detail)
    arguments = tuple(sorted(said.arguments.items()))
    return (said.id, said.meter, said.kind, said.reason, said.expires_at, arguments)
