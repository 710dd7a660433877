"""A document as a tree of texts that knows its lines.

Scalars stay the text that was written: a price never goes through a float, and `22:00` is no number
of minutes. What makes YAML surprising or dangerous is refused: keys that occur twice, anchors and
aliases (with which a short document can grow without end), tags, and great size or depth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NoReturn

import yaml

from metertwin.core.documents.problems import DocumentKind, Problem

TEXT_MAX_BYTES = 262_144
DEPTH_MAX = 16
NODES_MAX = 20_000
DIGITS_MAX = 40


@dataclass(frozen=True, slots=True)
class Node:
    """A text, a list or a mapping.

    Attributes:
        content: What it is; None is a place left empty.
        line_number: Line on which it, or the key it belongs to, stands; from 1.
    """

    content: "str | list[Node] | dict[str, Node] | None"
    line_number: int | None = None


def compose(text: str, where: str, kind: DocumentKind) -> Node:
    """Return the tree of a YAML document.

    Raises:
        DocumentError: The kind's own: it is no YAML, too large, or uses what is refused.
    """
    if len(text) > TEXT_MAX_BYTES:  # before encoding: a character has at least one byte
        _refuse(
            kind, where, None, f"The document has {len(text)} characters; {TEXT_MAX_BYTES} is most."
        )
    composer = _Composer(where, kind)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        _refuse(kind, where, mark.line + 1 if mark else None, f"This is no YAML: {reason}.")
    except yaml.reader.ReaderError as error:
        line_number = text.count("\n", 0, error.position) + 1
        _refuse(kind, where, line_number, f"YAML has no place for this character: {error.reason}.")
    except (ValueError, OverflowError) as error:  # an escape or version beyond what Python takes
        _refuse(kind, where, None, f"This is no YAML: {error}.")
    if composer.problems:
        raise kind.error(where, composer.problems)
    return composer.root or Node({}, 1)


def tree_of(plain: Mapping[str, object], where: str, kind: DocumentKind) -> Node:
    """Return the tree of plain values: mappings, lists, texts, whole numbers, decimals, dates.

    Raises:
        DocumentError: The kind's own: a value is of another type, for example a float, which is
            not exact, or the mapping is too deep or too large.
    """
    problems: list[Problem] = []
    count = 0

    def node_of(value: object, path: str, depth: int) -> Node:
        nonlocal count
        count += 1
        if depth > DEPTH_MAX or count > NODES_MAX:
            _refuse(kind, where, None, f"At {path}, the document is too deep or too large.")
        if isinstance(value, Mapping):
            named = {str(key): item for key, item in value.items()}
            return Node(
                {key: node_of(item, joined(path, key), depth + 1) for key, item in named.items()}
            )
        if isinstance(value, list | tuple):
            return Node([node_of(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)])
        if value is None or isinstance(value, str):
            return Node(value)
        if isinstance(value, bool):
            return Node(str(value).lower())
        if isinstance(value, Decimal):
            return Node(decimal_text(value))
        if isinstance(value, int | date):
            return Node(str(value))
        sentence = f"{value!r:.40} is a {type(value).__name__}; write decimals as text, exactly."
        problems.append(Problem(path, None, sentence))
        return Node(None)

    root = node_of(plain, "", 0)
    if problems:
        raise kind.error(where, problems)
    return root


def decimal_text(value: Decimal) -> str:
    """Return a decimal's digits, without an exponent unless it is of absurd size.

    Example:
        >>> [decimal_text(Decimal(text)) for text in ("1E+3", "0.10", "1E+99")]
        ['1000', '0.10', '1E+99']
    """
    return format(value, "f") if abs(value.adjusted()) <= DIGITS_MAX else str(value)


def joined(path: str, key: str) -> str:
    """Return the path of a key below a path."""
    return f"{path}.{key}" if path else key


def _refuse(kind: DocumentKind, where: str, line_number: int | None, sentence: str) -> NoReturn:
    raise kind.error(where, [Problem("", line_number, sentence)]) from None


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended; `key` waits for its value."""

    node: Node
    path: str
    key: str | None = None
    key_line_number: int = 0


@dataclass(slots=True)
class _Composer:
    where: str
    kind: DocumentKind
    problems: list[Problem] = field(default_factory=list)
    root: Node | None = None
    opened: list[_Open] = field(default_factory=list)
    count: int = 0

    def take(self, event: yaml.Event) -> None:
        mark: yaml.error.Mark = event.start_mark  # type: ignore[assignment]  # parse() sets it
        line_number, many = mark.line + 1, self.kind.plural
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(
                line_number,
                f"Anchors (&) and aliases (*) are not used in {many}.",
            )
        if (tag := getattr(event, "tag", None)) is not None:
            self._refuse(
                line_number,
                f"The tag {tag} is not used in {many}.",
            )
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse(
                line_number,
                f"A second document begins; a file has one {self.kind.noun}.",
            )
        if isinstance(event, yaml.CollectionEndEvent):
            self.opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            is_empty = event.value == "" and event.style is None
            self._add(Node(None if is_empty else event.value, line_number))
        elif isinstance(event, yaml.CollectionStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._open(Node({} if is_mapping else [], line_number))

    def _refuse(self, line_number: int | None, sentence: str) -> NoReturn:
        _refuse(self.kind, self.where, line_number, sentence)

    def _open(self, node: Node) -> None:
        if len(self.opened) >= DEPTH_MAX:
            self._refuse(node.line_number, f"More than {DEPTH_MAX} levels are nested.")
        kept = self._add(node)
        path = self._path()
        self.opened.append(_Open(kept, path))

    def _path(self) -> str:
        if not self.opened:
            return ""
        top = self.opened[-1]
        if isinstance(top.node.content, list):
            return f"{top.path}[{len(top.node.content) - 1}]"
        return joined(top.path, next(reversed(top.node.content))) if top.node.content else top.path

    def _add(self, node: Node) -> Node:
        self.count += 1
        if self.count > NODES_MAX:
            self._refuse(
                node.line_number,
                f"The document has more than {NODES_MAX} values.",
            )
        if not self.opened:
            self.root = node
            return node
        top = self.opened[-1]
        if isinstance(top.node.content, list):
            top.node.content.append(node)
            return node
        if top.key is None:
            if not isinstance(node.content, str | None):
                self._refuse(
                    node.line_number,
                    "A key is a name; here a list or mapping is.",
                )
            top.key, top.key_line_number = node.content or "", node.line_number or 0
            return node
        return self._put(top, node)

    def _put(self, top: _Open, node: Node) -> Node:
        assert isinstance(top.node.content, dict)
        key, line_number = top.key or "", top.key_line_number
        kept = Node(node.content, line_number)
        if key in top.node.content:
            first = top.node.content.pop(key).line_number
            sentence = f"The key stands here again, first on line {first}; keep one of them."
            self.problems.append(Problem(joined(top.path, key), line_number, sentence))
        top.node.content[key] = kept
        top.key = None
        return kept
