"""Text that can stand in XML."""

import re
from collections.abc import Iterator

ESPI = 'xmlns="http://naesb.org/espi"'
# What XML 1.0 has no way to say, not even escaped.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def checked_text(text: str, what: str) -> Iterator[str]:
    """Yield a problem if a text has characters that XML does not have."""
    if found := _IMPOSSIBLE.search(text):
        yield f"{what} has the character U+{ord(found[0]):04X}, which XML does not have"
