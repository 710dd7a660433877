"""A sheet of text: which character separates, which columns there are, and its rows with lines."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metertwin.exchange.usage_file import UsageFileError

SIZE_MAX_BYTES = 256_000_000
_SEPARATORS = (",", ";", "\t")
_ENCODINGS = ("utf-8-sig", "cp1252")
_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet whose header is understood.

    Attributes:
        text: All of it.
        separator: Comma, semicolon or tab; with the latter two, numbers may have a decimal comma.
        columns: Our name of each column; None: not one of ours.
        left_out: Names of the columns that are not ours.
        where: What to call the file in errors.
    """

    text: str
    separator: str
    columns: tuple[str | None, ...]
    left_out: tuple[str, ...]
    where: str

    def rows(self, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line number and cells by our names; rows without any text are skipped.

        A row with another number of cells than the header is a problem, as is a broken quotation,
        which ends the reading.
        """
        lines = csv.reader(
            io.StringIO(self.text, newline=""), delimiter=self.separator, strict=True
        )
        is_header = True
        try:
            for cells in lines:
                if not any(cell.strip() for cell in cells):
                    continue
                if is_header:
                    is_header = False
                elif len(cells) == len(self.columns):
                    pairs = zip(self.columns, cells, strict=True)
                    yield lines.line_num, {name: cell.strip() for name, cell in pairs if name}
                else:
                    problems.append(
                        f"line {lines.line_num} has {len(cells)} cells, the header "
                        f"{len(self.columns)}"
                    )
        except csv.Error as error:
            problems.append(f"line {lines.line_num} cannot be read: {error}")


def sheet_of(
    octets: bytes, known: Mapping[str, str], needed: Sequence[Sequence[str]], where: str
) -> Sheet:
    """Return the sheet in a file, its separator found by its header.

    Args:
        octets: The file, UTF-8 or, as old spreadsheets write, Windows-1252.
        known: Our name of a column by the names it may have, in lower case with underscores.
        needed: Sets of our names; of each set one column must be there.
        where: What to call the file in errors.

    Raises:
        UsageFileError: It is too large, no text, or has no header with the needed columns.
    """
    if len(octets) > SIZE_MAX_BYTES:
        raise UsageFileError(f"{where} has {len(octets):,} bytes; {SIZE_MAX_BYTES:,} is the most.")
    text = _decoded(octets, where)
    header = next((line for line in text.splitlines() if line.strip(',;\t "')), "")
    headers = [(_names(header, separator), separator) for separator in _SEPARATORS]
    names, separator = max(
        headers, key=lambda each: (sum(name in known for name in each[0]), len(each[0]))
    )
    columns = tuple(known.get(name) for name in names)
    found = [column for column in columns if column is not None]
    missing = [" or ".join(names) for names in needed if not set(names) & set(found)]
    if missing:
        raise UsageFileError(
            f"{where} has no column {', no column '.join(missing)}; its first line says "
            f"{', '.join(names[:_NAMES_SHOWN])[:300] or 'nothing'}. Known are "
            f"{', '.join(sorted(known))}.",
            missing=missing,
        )
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise UsageFileError(f"{where} has several columns {', '.join(twice)}; keep one of each.")
    left_out = tuple(
        name for name, column in zip(names, columns, strict=True) if column is None and name
    )
    return Sheet(text, separator, columns, left_out, where)


def _decoded(octets: bytes, where: str) -> str:
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encodings: Sequence[str] = ("utf-16",)
    else:
        encodings = _ENCODINGS
    for encoding in encodings:
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageFileError(f"{where} is not text in UTF-8; save it as CSV in UTF-8.")


def _names(header: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return []
    return [re.sub(r"[^a-z0-9]+", "_", cell.lower()).strip("_")[:60] for cell in cells]
