"""Desired state changed on both sides of a cut link meets path by path, by rules without clocks."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from metertwin.core.ids import MeterId
from metertwin.twins.desired import Ask, Desired, PathChange, Value, changed
from metertwin.twins.merging import Wish, conflict_event, merged, wins

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMIT, RELAY = "limit_w", "disconnect_control"
VALUES: dict[str, list[Value | None]] = {
    LIMIT: [1000, 2000, 3000, None],
    RELAY: ["connected", "disconnected", None],
}


def _wish(value: Value | None, base_version: int, path: str = LIMIT, identity: str = "w1") -> Wish:
    return Wish(path, value, Ask("control room", NOON, identity, "cloud"), base_version)


def test_what_only_the_cloud_changed_holds() -> None:
    both_knew = changed(changed(None, {LIMIT: 3000}), {RELAY: "connected"})
    state = merged(both_knew, [_wish(5000, both_knew.version)], NOON)
    assert (state.values, state.untold) == ({LIMIT: 5000, RELAY: "connected"}, ())
    assert state.version == both_knew.version + 1


def test_a_change_of_another_path_is_no_conflict() -> None:
    both_knew = changed(None, {LIMIT: 3000})
    meanwhile = changed(both_knew, {RELAY: "disconnected"})
    state = merged(meanwhile, [_wish(5000, both_knew.version)], NOON)
    assert (state.values, state.untold) == ({LIMIT: 5000, RELAY: "disconnected"}, ())


@pytest.mark.parametrize(
    ("path", "here", "there", "holds"),
    [
        (LIMIT, 3000, 5000, 3000),
        (LIMIT, 5000, 3000, 3000),
        (LIMIT, None, 3000, 3000),
        (LIMIT, 5000, None, 5000),
        (RELAY, "disconnected", "connected", "disconnected"),
        (RELAY, "connected", "disconnected", "disconnected"),
        (RELAY, None, "connected", None),
        (RELAY, None, "disconnected", "disconnected"),
    ],
)
def test_of_two_changes_the_one_that_does_less_harm_holds_and_is_told(
    path: str, here: Value | None, there: Value | None, holds: Value | None
) -> None:
    both_knew = changed(None, {path: VALUES[path][0], "limit_w": 4000})
    meanwhile = changed(both_knew, {path: here}, Ask("fitter", NOON + timedelta(hours=1)))
    state = merged(meanwhile, [_wish(there, both_knew.version, path)], NOON)
    assert state.values.get(path) == holds
    (conflict,) = state.untold
    assert (conflict.here, conflict.there, conflict.is_there) == (here, there, holds == there)


def test_equal_wishes_are_no_conflict_and_command_nothing_anew() -> None:
    meanwhile = changed(changed(None, {LIMIT: 3000}), {LIMIT: 2000})
    state = merged(meanwhile, [_wish(2000, 1)], NOON)
    # The version is what a command's id is made of: as it was, nothing is commanded again.
    assert (state.values, state.version, state.untold) == ({LIMIT: 2000}, 2, ())


def test_a_conflict_reads_who_wanted_what_and_by_which_rule_it_was_settled() -> None:
    meanwhile = changed(changed(None, {LIMIT: 4000}), {LIMIT: 3000}, Ask("fitter", NOON))
    state = merged(meanwhile, [_wish(5000, 1)], NOON + timedelta(minutes=5))
    event = conflict_event(MeterId("m1"), state.untold[0], NOON + timedelta(minutes=6))
    assert event.name == "desired_conflict"
    assert event.captured_at == NOON + timedelta(minutes=5)
    assert event.detail == (
        "limit_w: at the twin's host 3000 (fitter, 2026-06-01 12:00:00 UTC), at cloud 5000 "
        "(control room, 2026-06-01 12:00:00 UTC), neither knowing of the other; 3000 holds: the "
        "lower limit wins, any limit over none."
    )


def test_a_state_kept_before_changes_were_known_by_path_counts_as_changed_by_its_version() -> None:
    kept = msgspec.json.decode(b'{"version": 7, "values": {"limit_w": 3000}}', type=Desired)
    assert merged(kept, [_wish(5000, 7)], NOON).values == {LIMIT: 5000}
    assert merged(kept, [_wish(5000, 6)], NOON).values == {LIMIT: 3000}
    # Changed at another path, it is known from then on which one that was.
    after = changed(kept, {RELAY: "connected"})
    assert after.paths[LIMIT] == PathChange(7)
    assert merged(after, [_wish(5000, 7)], NOON).values[LIMIT] == 5000


def test_a_state_made_anew_is_no_state_the_cloud_knew() -> None:
    anew = changed(None, {LIMIT: 1000})
    assert merged(anew, [_wish(5000, 9)], NOON).values == {LIMIT: 1000}


class TwoSides(RuleBasedStateMachine):
    """An owner and a cloud on a link that comes and goes; answers get lost, messages double.

    The oracle knows per path what either side changed since the other last heard of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owner: Desired | None = None
        self.known: Desired | None = None  # in the cloud, of the owner
        self.waiting: dict[str, Wish] = {}
        self.sent: list[Wish] = []
        self.expected: dict[str, Value | None] = {LIMIT: None, RELAY: None}

        self.conflicts_count = 0
        self.asks_count = 0
        self.is_linked = True

    @rule(path=st.sampled_from([LIMIT, RELAY]), data=st.data())
    def ask_at_the_edge(self, path: str, data: st.DataObject) -> None:
        value = data.draw(st.sampled_from(VALUES[path]))
        self.owner = changed(self.owner, {path: value}, Ask("fitter", NOON))
        self.expected[path] = value

    @rule(path=st.sampled_from([LIMIT, RELAY]), data=st.data())
    def wish_in_the_cloud(self, path: str, data: st.DataObject) -> None:
        value = data.draw(st.sampled_from(VALUES[path]))
        self.asks_count += 1
        base_version = self.known.version if self.known else 0
        self.waiting[path] = _wish(value, base_version, path, f"w{self.asks_count}")

    @rule()
    def cut_or_restore(self) -> None:
        self.is_linked = not self.is_linked

    @rule(is_answer_lost=st.booleans())
    def hand_over(self, *, is_answer_lost: bool) -> None:
        if not self.is_linked or not self.waiting:
            return
        wishes = list(self.waiting.values())
        self._merge(wishes)
        if not is_answer_lost:
            self.waiting.clear()

    @rule(data=st.data())
    def a_message_comes_twice(self, data: st.DataObject) -> None:
        if self.sent:
            before = self.owner
            self.owner = merged(self.owner, [data.draw(st.sampled_from(self.sent))], NOON)
            assert self.owner == before

    @rule()
    def the_cloud_hears(self) -> None:
        if self.is_linked:
            self.known = self.owner

    def _merge(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            if wish in self.sent:
                continue
            self.sent.append(wish)
            path, here = wish.path, self.expected[wish.path]
            last = self.owner.last_change(path) if self.owner else None
            is_edges = last is not None and last.ask.origin == "" and last.version > 0
            if is_edges and last is not None and last.version > wish.base_version:
                self.conflicts_count += here != wish.value
                self.expected[path] = wish.value if wins(path, wish.value, here) else here
            else:
                self.expected[path] = wish.value
        self.owner = merged(self.owner, wishes, NOON)

    @invariant()
    def the_owner_wants_what_the_rules_say(self) -> None:
        values = self.owner.values if self.owner else {}
        assert {path: values.get(path) for path in self.expected} == self.expected
        assert len(self.owner.untold if self.owner else ()) == self.conflicts_count

    def teardown(self) -> None:
        """Whatever went before: restored, handed over and heard, both sides agree."""
        self.is_linked = True
        self.hand_over(is_answer_lost=True)
        self.hand_over(is_answer_lost=False)
        self.the_cloud_hears()
        assert not self.waiting
        assert (self.known.values if self.known else {}) == {
            path: value for path, value in self.expected.items() if value is not None
        }


TestTwoSides = TwoSides.TestCase
TestTwoSides.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
