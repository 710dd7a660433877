"""What a part said last before it ended, out of a log that goes on after it is started again."""

import msgspec

_CHATTER = frozenset({"debug", "info"})
LINES_COUNT = 40
"""How many lines to look through: more than a role logs before it can fail."""


class _Line(msgspec.Struct):
    level: str = ""


def last_words(log: str) -> str:
    r"""Return the last line that says more than that all goes well, else the last line, else "".

    A runtime starts a part that failed again at once, so by the time somebody asks, the next run
    may have logged that it started, below the sentence in which the last one said why it failed.

    Args:
        log: The end of a part's log; lines of JSON with a `level` are a role's, others are
            anything.

    Example:
        >>> last_words('metertwin: no such file\n{"event": "role_started", "level": "info"}\n')
        'metertwin: no such file'
    """
    lines = [line for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if _level(line) not in _CHATTER]
    return (telling or lines or [""])[-1].strip()


def _level(line: str) -> str:
    if not line.startswith("{"):
        return ""
    try:
        return msgspec.json.decode(line, type=_Line).level
    except (msgspec.MsgspecError, RecursionError):
        return ""
