"""Why a part ended, in words that say what to do."""

from metertwin.fleet.local.containers import Containers, limits_of
from metertwin.fleet.runtimes.port import ContainerStatus
from metertwin.fleet.runtimes.spec import Limits

_MEBIBYTE = 1024**2


async def why_ended(containers: Containers, part: str, status: ContainerStatus) -> str:
    """Return why a part ended last: for want of memory, else in its own last words."""
    if status.was_out_of_memory:
        return out_of_memory(limits_of(status))
    words = await containers.last_words(part)
    return words or f"exit code {status.exit_code}, without a word"


def out_of_memory(limits: Limits) -> str:
    """Return the sentence for a part that was killed for want of memory.

    Example:
        >>> out_of_memory(Limits(memory_bytes=16 * 1024**2))
        'out of memory: 16 MiB are too little; allow it more in the fleet file, `resources`'
    """
    if limits.memory_bytes is None:
        return "out of memory: this machine has none left; end something, or give others less"
    return (
        f"out of memory: {limits.memory_bytes / _MEBIBYTE:g} MiB are too little; allow it more in "
        "the fleet file, `resources`"
    )
