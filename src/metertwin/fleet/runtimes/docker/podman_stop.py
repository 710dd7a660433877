"""A container that Podman may start again although it was asked to end it.

Podman forgets a stop that comes between a crash and a restart, so what crashes again and again has
to be asked until it is heard while it runs, and looked at until no restart can be on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable

from metertwin.fleet.runtimes.errors import EngineRefusedError
from metertwin.fleet.runtimes.port import ContainerStatus, Phase

_RESTARTS_WITHIN_S = 1.0
_HEEDS_WITHIN_S = 30.0  # of one that runs for a moment only it takes many tries
_LOOK_S = 0.02
_CONFLICT = 409


async def stay_ended(
    status: Callable[[], Awaitable[ContainerStatus]], ask_to_end: Callable[[], Awaitable[None]]
) -> None:
    """See that a container that was asked to end is not restarted.

    Args:
        status: Returns how it is.
        ask_to_end: Asks it once more.

    Raises:
        EngineRefusedError: It was restarted as often as it was asked to end.
    """
    now_s = asyncio.get_running_loop().time
    give_up_s, seen_s = now_s() + _HEEDS_WITHIN_S, now_s()
    while now_s() < seen_s + _RESTARTS_WITHIN_S:
        try:
            found = await status()
            if found.restart_count == 0:
                return
            if found.phase is Phase.RUNNING:
                if now_s() > give_up_s:
                    raise _not_heeded(found.name)
                seen_s = now_s()
                await ask_to_end()
        except EngineRefusedError:
            # Podman calls it an error when a process that it looks at ends just then.
            if now_s() > give_up_s:
                raise
        await asyncio.sleep(_LOOK_S)


def _not_heeded(name: str) -> EngineRefusedError:
    return EngineRefusedError(
        f"Podman starts {name} again as often as it is asked to end; remove it.",
        status=_CONFLICT,
        said="started again",
    )
