"""Plain values as YAML that `compose` reads back to the same texts."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import yaml


def yaml_of(plain: Mapping[str, object], short_keys: AbstractSet[str] = frozenset()) -> str:
    """Return mappings, lists, texts, whole numbers and booleans as YAML.

    Args:
        plain: The document.
        short_keys: A mapping that has no other keys than these stands on one line, in braces.

    Example:
        >>> print(yaml_of({"at": "cloud", "apps": ["a", "b"]}), end="")
        at: cloud
        apps: [a, b]
    """

    class Dumper(_Dumper):
        def represent_flow(self, value: dict[str, Any]) -> yaml.MappingNode:
            tag = "tag:yaml.org,2002:map"
            return self.represent_mapping(tag, value, flow_style=value.keys() <= short_keys)

    Dumper.add_representer(dict, Dumper.represent_flow)
    text: str = yaml.dump(
        dict(plain), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return text


class _Dumper(yaml.BaseDumper):
    """Writes every scalar as it is: `compose` takes none for a number, so none needs quotes."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  the base class's signature
        return True


def _scalar(dumper: _Dumper, value: object) -> yaml.ScalarNode:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    is_plain = text.isprintable() and text != ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if is_plain else '"')


def _list(dumper: _Dumper, value: list[Any]) -> yaml.SequenceNode:
    is_short = all(isinstance(item, str | int) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=is_short)


for _kind in (str, int, bool):
    _Dumper.add_representer(_kind, _scalar)
_Dumper.add_representer(list, _list)
