"""What a recorder can be told."""

from collections.abc import Sequence
from dataclasses import dataclass

from metertwin.core.ids import GroupId


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Settings of one recorder.

    Attributes:
        name: Who answers, in the `host` request and the bus's log.
        groups: Groups whose history is asked for from the start; others follow when their first
            reading comes.
        harvest_rows: Readings after which a transaction begins, more or less: a message is
            never split. Larger transactions cost less a row and delay what is asked for.
        harvest_messages: Messages after which one begins: while they are decoded no question is
            answered.
        harvest_s: The longest wait for more of them, in s.
        first_pause_s: Pause before a transaction is tried again, in s; doubles up to the longest.
        longest_pause_s: The longest such pause, in s.
        question_threads: Questions about history worked on at once.
        maximal_power_w: Highest power a connection can carry, in W, or var for reactive energy:
            a rise beyond it is suspect, and a fall that needs more to have been a rollover is a
            reset. 100 kW is above three phases of 125 A.
    """

    name: str = "recorder"
    groups: Sequence[GroupId] = ()
    harvest_rows: int = 200_000
    harvest_messages: int = 10_000
    harvest_s: float = 0.2
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0
    question_threads: int = 2
    maximal_power_w: float = 100_000.0
