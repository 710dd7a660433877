"""The tariff app of a site, from tariffs in files."""

from collections.abc import Sequence
from pathlib import Path

from metertwin.apps.tariff.documents import parse_tariff
from metertwin.core.errors import InvalidInputError
from metertwin.twins.settings import AppGrant


def tariff_grant(files: Sequence[Path], unbilled: Sequence[str] = ()) -> AppGrant:
    """Return the tariff app at work with these tariffs.

    Args:
        files: The first is what a meter has that no other was assigned to; one at least.
        unbilled: Patterns of meters that nobody is billed for, `t*` for example.

    Raises:
        InvalidInputError: A file cannot be read, is no tariff, or has another one's id.
    """
    texts = [_text(file) for file in files]
    ids = [parse_tariff(text, str(file)).id for file, text in zip(files, texts, strict=True)]
    for number, id_ in enumerate(ids):
        if id_ in ids[:number]:
            raise InvalidInputError(
                f"Tariffs {files[ids.index(id_)]} and {files[number]} both have the id {id_}.",
                tariff=id_,
            )
    config: dict[str, object] = {"tariffs": texts, "default": ids[0]}
    if unbilled:
        config["unbilled"] = list(unbilled)
    return AppGrant("tariff", config=config)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"Tariff {file} cannot be read: {error}.") from error
