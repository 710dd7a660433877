"""Whether the running task was told to end.

A cancellation that comes at the moment an awaited answer arrives can be swallowed on the way, by
`asyncio.wait_for` before Python 3.12, which the NATS client uses throughout. A loop that asks here
at each turn ends all the same.
"""

import asyncio


def is_ending() -> bool:
    """Whether somebody cancelled the running task, even if no await has told it so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def end_if_told() -> None:
    """Raise CancelledError if the running task was cancelled."""
    if is_ending():
        raise asyncio.CancelledError
