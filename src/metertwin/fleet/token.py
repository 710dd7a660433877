"""The API's token: made at first start, readable by its owner alone."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from metertwin.core.errors import MeterTwinError

TOKEN_BYTES = 32
_SHORTEST = 32  # characters; a hand-written token below this can be guessed


class TokenError(MeterTwinError):
    """The token file cannot be used as it is."""

    code = "auth.token_file"


def load_token(path: Path) -> str:
    """Return the token of `path`.

    Raises:
        TokenError: The file is missing, too short, or readable by others.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise TokenError(
            f"There is no API token at {path}; start the site once, or point METERTWIN_STATE or "
            "--state at its state directory.",
            path=str(path),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"The API token at {path} cannot be read: {error}.", path=str(path)) from (
            error
        )
    if mode & 0o077:
        raise TokenError(
            f"The API token at {path} has mode {mode:04o}, so others may have read it; "
            "delete it and restart the API, which makes a new one with mode 0600.",
            path=str(path),
            mode=f"{mode:04o}",
        )
    if len(token) < _SHORTEST:
        raise TokenError(
            f"The API token at {path} has {len(token)} characters, {_SHORTEST} are the least; "
            "delete it and restart the API, which makes a new one.",
            path=str(path),
        )
    return token


def ensure_token(path: Path) -> str:
    """Return the token of `path`, made now if there is none.

    Raises:
        TokenError: The file that is there cannot be used.
    """
    if path.exists():
        return load_token(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
    # A link is made whole or not at all: of two processes that start at once both read the
    # same, complete token.
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()
    return load_token(path)
