"""The registry file, meters.json: which meters there are, with their keys, for its owner's eyes.

All that is wrong with the file is reported at once, each problem with the position and id of its
entry, because nobody wants to mend ten thousand entries one error at a time.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from metertwin.meters.entry import MeterEntry
from metertwin.meters.errors import RegistryError

REGISTRY_VERSION = 1
_PROBLEMS_SHOWN = 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    meters: list[msgspec.Raw]


def load_registry(path: Path) -> tuple[MeterEntry, ...]:
    """Read the registry.

    Raises:
        RegistryError: The file is missing, damaged, readable by others, of another version, or
            has entries that break a rule; all of them are listed.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise RegistryError(
                f"{path} holds keys and others may read or write it; run chmod 600 on it.",
                path=str(path),
            )
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from error
    except msgspec.DecodeError as error:
        raise RegistryError(f"{path} is no registry of meters: {error}.", path=str(path)) from error
    if file.version != REGISTRY_VERSION:
        raise RegistryError(
            f"{path} has version {file.version}, this program reads version {REGISTRY_VERSION}.",
            path=str(path),
            version=file.version,
        )
    return _entries(path, file.meters)


def save_registry(path: Path, entries: Iterable[MeterEntry]) -> None:
    """Write the registry, whole or not at all, mode 0600.

    Raises:
        RegistryError: An entry breaks a rule, or the file cannot be written.
    """
    written = list(entries)
    problems = [
        (number, f"{entry.id}: {problem}")
        for number, entry in enumerate(written, 1)
        for problem in entry.problems()
    ]
    _refuse(path, problems + _repeated(list(enumerate(written, 1))))
    lines = b",\n".join(msgspec.json.encode(entry) for entry in written)
    text = b'{"version": %d, "meters": [\n%s\n]}\n' % (REGISTRY_VERSION, lines)
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be written: {error.strerror}.", path=str(path)
        ) from error


def _entries(path: Path, raw_entries: Sequence[msgspec.Raw]) -> tuple[MeterEntry, ...]:
    decoder = msgspec.json.Decoder(MeterEntry)
    numbered: list[tuple[int, MeterEntry]] = []
    problems: list[tuple[int, str]] = []
    for number, raw in enumerate(raw_entries, 1):
        try:
            entry = decoder.decode(raw)
        except msgspec.DecodeError as error:
            problems.append((number, str(error)))
            continue
        numbered.append((number, entry))
        problems.extend((number, f"{entry.id}: {problem}") for problem in entry.problems())
    _refuse(path, problems + _repeated(numbered))
    return tuple(entry for _, entry in numbered)


def _repeated(numbered: Sequence[tuple[int, MeterEntry]]) -> list[tuple[int, str]]:
    times = Counter(entry.id for _, entry in numbered)
    return [
        (number, f"{entry.id}: the id is used {times[entry.id]} times")
        for number, entry in numbered
        if times[entry.id] > 1
    ]


def _refuse(path: Path, problems: list[tuple[int, str]]) -> None:
    if not problems:
        return
    problems.sort()
    shown = "; ".join(f"entry {number}: {text}" for number, text in problems[:_PROBLEMS_SHOWN])
    more = len(problems) - _PROBLEMS_SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    raise RegistryError(
        f"{path} has {len(problems)} problem{'s' if len(problems) > 1 else ''}: {shown}{rest}.",
        path=str(path),
        problems=[f"entry {number}: {text}" for number, text in problems],
    )
