"""The XML of a Green Button file as entries: addresses, titles and resources, read in one pass.

The parser is the standard library's expat, kept from all that makes XML dangerous: a document type
is refused before anything is parsed, so there are no entities and nothing is fetched; size, depth
and the number of elements kept are limited. Only local names count: real files spell the
namespaces in several ways. What is kept of an interval block is columns, not elements.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from metertwin.exchange.usage_file import UsageFileError

SIZE_MAX_BYTES = 256_000_000
DEPTH_MAX = 64
KEPT_MAX = 200_000
PROBLEMS_MAX = 1000
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding=["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = {
    "utf-8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "iso-8859-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
}
_BLOCK_FIELDS = frozenset({"value", "start", "duration", "quality", "cost"})
_KEPT = frozenset(
    {
        "UsagePoint",
        "MeterReading",
        "ReadingType",
        "LocalTimeParameters",
        "TimeConfiguration",
        "UsageSummary",
        "ElectricPowerUsageSummary",
    }
)


@dataclass(slots=True)
class Node:
    """An element of a resource other than an interval block."""

    name: str
    text: str = ""
    children: "list[Node]" = field(default_factory=list)

    def all(self, name: str) -> "list[Node]":
        """Return the children of a name."""
        return [child for child in self.children if child.name == name]

    def first(self, *path: str) -> "Node | None":
        """Return the first element at a path of names; None where there is none."""
        node = self
        for name in path:
            found = node.all(name)
            if not found:
                return None
            node = found[0]
        return node

    def text_at(self, *path: str) -> str:
        """Return the text of the first element at a path; empty where there is none."""
        node = self.first(*path)
        return "" if node is None else node.text


@dataclass(slots=True)
class Block:
    """An interval block: texts of its interval and, per reading, of its fields; lines for errors.

    A reading without a time has None as its start.
    """

    start: str = ""
    duration: str = ""
    starts: list[str | None] = field(default_factory=list)
    durations: list[str | None] = field(default_factory=list)
    values: list[str | None] = field(default_factory=list)
    qualities: dict[int, list[str]] = field(default_factory=dict)
    line_numbers: list[int] = field(default_factory=list)
    has_cost: bool = False


@dataclass(slots=True)
class Entry:
    """An entry of the feed: its addresses and what is in it."""

    line_number: int
    title: str = ""
    own: str = ""
    up: str = ""
    related: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def node(self, *names: str) -> Node | None:
        """Return the first resource of one of these names; None where there is none."""
        return next((node for node in self.nodes if node.name in names), None)


def entries_of(octets: bytes, where: str) -> list[Entry]:
    """Return the entries of a feed.

    Args:
        octets: The file.
        where: What to call it in errors.

    Raises:
        UsageFileError: It is no well-formed Atom feed, has a document type, or is too large.
    """
    if len(octets) > SIZE_MAX_BYTES:
        raise UsageFileError(
            f"{where} has {len(octets):,} bytes; {SIZE_MAX_BYTES:,} is the most that is read."
        )
    text = _decoded(octets, where)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UsageFileError(
            f"{where} has a document type or entities, which could make a reader fetch or expand "
            "things; Green Button needs none. Remove the declaration."
        )
    reading = _FeedReading(where)
    try:
        reading.parser.Parse(text.encode(), True)  # noqa: FBT003  expat takes it by place only
    except expat.ExpatError as error:
        raise UsageFileError(
            f"{where} is not well-formed XML: {expat.ErrorString(error.code)} at line "
            f"{error.lineno}, column {error.offset}.",
            line=error.lineno,
        ) from None
    return reading.entries


def _decoded(octets: bytes, where: str) -> str:
    declared = _DECLARED.match(octets.lstrip(b"\xef\xbb\xbf")[:200])
    name = declared[1].decode("ascii") if declared else "utf-8"
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        name = "utf-16"
    codec = _ENCODINGS.get(name.lower())
    if codec is None:
        raise UsageFileError(f"{where} is declared to be {name}; save it as UTF-8.")
    try:
        return octets.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageFileError(
            f"{where} is not {name} at byte {error.start}; save it as UTF-8.", position=error.start
        ) from None


class _FeedReading:
    """What expat tells, put into entries. Depth 1 is the feed, 2 entries, 4 resources."""

    def __init__(self, where: str) -> None:
        self.entries: list[Entry] = []
        self._where = where
        self._depth = 0
        self._kept = 0
        self._is_content = False
        self._text: list[str] = []
        self._local: dict[str, str] = {}
        self._open: list[Node] = []
        self._block: Block | None = None
        self._reading: dict[str, str] | None = None
        self._qualities: list[str] = []
        # The encoding overrides a declared one: the text was decoded and is UTF-8 now.
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_declared: object) -> None:
        raise UsageFileError(f"{self._where} has a document type; remove the declaration.")

    def _local_name(self, name: str) -> str:
        if len(self._local) > 10_000:
            raise UsageFileError(f"{self._where} has more than 10,000 names of elements.")
        return self._local.setdefault(name, name.rpartition(" ")[2])

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = self._local.get(name) or self._local_name(name)
        self._depth += 1
        self._text.clear()
        if self._block is not None:
            if local == "IntervalReading":
                self._reading, self._qualities = {}, []
            if self._depth > DEPTH_MAX:
                self._check_depth()
        elif self._open:
            self._keep(local)
        elif self._depth == 4 and self._is_content and self.entries:
            self._start_resource(local)
        else:
            self._start_frame(local, attributes)

    def _start_frame(self, local: str, attributes: dict[str, str]) -> None:
        self._check_depth()
        if self._depth == 1 and local != "feed":
            raise UsageFileError(
                f"{self._where} begins with <{local[:40]}>; a Green Button file is an Atom <feed>."
            )
        if self._depth == 2 and local == "entry":
            self._count()
            self.entries.append(Entry(self.parser.CurrentLineNumber))
        elif self._depth == 3 and self.entries:
            self._is_content = local == "content"
            if local == "link":
                self._link(attributes.get("rel", ""), attributes.get("href", ""))

    def _link(self, relation: str, address: str) -> None:
        entry = self.entries[-1]
        address = _path(address)
        if relation == "self":
            entry.own = address
        elif relation == "up":
            entry.up = address
        elif relation == "related":
            self._count()
            entry.related.append(address)

    def _start_resource(self, local: str) -> None:
        entry = self.entries[-1]
        self._count()
        if local == "IntervalBlock":
            self._block = Block()
            entry.blocks.append(self._block)
        elif local in _KEPT:
            self._open.append(Node(local))
            entry.nodes.append(self._open[-1])
        else:
            entry.unknown.append(local[:60])

    def _keep(self, local: str) -> None:
        self._check_depth()
        self._count()
        node = Node(local)
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, name: str) -> None:
        local = self._local[name]
        self._depth -= 1
        if self._block is not None:
            self._end_in_block(local, self._block)
        elif self._open:
            node = self._open.pop()
            node.text = "".join(self._text).strip() if not node.children else ""
        elif self._depth == 2 and local == "title" and self.entries:
            self.entries[-1].title = "".join(self._text).strip()[:256]
        self._text.clear()

    def _end_in_block(self, local: str, block: Block) -> None:
        reading = self._reading
        if local in _BLOCK_FIELDS:
            text = "".join(self._text)
            if reading is None:
                if local == "start":
                    block.start = text
                elif local == "duration":
                    block.duration = text
            elif local == "quality":
                self._qualities.append(text)
            else:
                reading[local] = text
        elif local == "IntervalReading" and reading is not None:
            if self._qualities:
                block.qualities[len(block.line_numbers)] = self._qualities
            block.starts.append(reading.get("start"))
            block.durations.append(reading.get("duration"))
            block.values.append(reading.get("value"))
            block.line_numbers.append(self.parser.CurrentLineNumber)
            block.has_cost |= "cost" in reading
            self._reading = None
        elif self._depth == 3:
            self._block = None

    def _check_depth(self) -> None:
        if self._depth > DEPTH_MAX:
            raise UsageFileError(
                f"{self._where} nests elements more than {DEPTH_MAX} deep at line "
                f"{self.parser.CurrentLineNumber}; Green Button needs about ten."
            )

    def _count(self) -> None:
        self._kept += 1
        if self._kept > KEPT_MAX:
            raise UsageFileError(
                f"{self._where} has more than {KEPT_MAX:,} elements besides readings; split it."
            )


def _path(address: str) -> str:
    """Return an address without its server and without a slash at the end."""
    return re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*", "", address.strip()).rstrip("/")


def resources(entries: list[Entry], *names: str) -> Iterator[tuple[Entry, Node]]:
    """Yield the resources of some names with their entries, in the order of the file."""
    for entry in entries:
        for node in entry.nodes:
            if node.name in names:
                yield entry, node
