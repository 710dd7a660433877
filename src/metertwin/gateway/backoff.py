"""How long to leave a failing meter alone: twice as long each time, and never all at once."""

from random import Random


def pause_s(failures_count: int, first_s: float, most_s: float, random: Random) -> float:
    """Return the pause after `failures_count` failures in a row, in s of this machine.

    The pause doubles with each failure up to `most_s`; half of it is drawn, so that meters which
    failed together do not come back together.

    Args:
        failures_count: 1 or more.
        first_s: Pause after the first failure, above 0.
        most_s: The longest pause.
        random: Where the drawn half comes from.

    Returns:
        Between half the pause and the pause.
    """
    # Beyond 2^32 the doubling only risks an overflow; most_s has long taken over.
    longest_s = min(first_s * 2.0 ** min(failures_count - 1, 32), most_s)
    return longest_s * (0.5 + 0.5 * random.random())
