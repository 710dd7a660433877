"""Data and strategies the COSEM tests share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from metertwin.cosem.data import Data, Tag
from metertwin.cosem.security import KeyRing

# A deadline would make a busy machine fail a law that holds.
settings.register_profile("cosem", deadline=None)
settings.load_profile("cosem")

_GOLDEN = Path(__file__).parent / "golden"
_RANGES = {
    Tag.INT8: (-(2**7), 2**7 - 1),
    Tag.INT16: (-(2**15), 2**15 - 1),
    Tag.INT32: (-(2**31), 2**31 - 1),
    Tag.INT64: (-(2**63), 2**63 - 1),
    Tag.UINT8: (0, 2**8 - 1),
    Tag.UINT16: (0, 2**16 - 1),
    Tag.UINT32: (0, 2**32 - 1),
    Tag.UINT64: (0, 2**64 - 1),
    Tag.ENUM: (0, 2**8 - 1),
    Tag.BCD: (0, 2**8 - 1),
}


def _leaves() -> st.SearchStrategy[Data]:
    integers = [
        st.builds(Data, st.just(tag), st.integers(low, high))
        for tag, (low, high) in _RANGES.items()
    ]
    latin = st.text(st.characters(max_codepoint=0xFF), max_size=20)
    return st.one_of(
        st.just(Data(Tag.NULL, None)),
        st.booleans().map(lambda value: Data(Tag.BOOLEAN, value)),
        *integers,
        st.binary(max_size=200).map(lambda value: Data(Tag.OCTET_STRING, value)),
        latin.map(lambda value: Data(Tag.VISIBLE_STRING, value)),
        st.text(max_size=20).map(lambda value: Data(Tag.UTF8_STRING, value)),
        st.text("01", max_size=40).map(lambda value: Data(Tag.BIT_STRING, value)),
        st.floats(width=32, allow_nan=False).map(lambda value: Data(Tag.FLOAT32, value)),
        st.floats(allow_nan=False).map(lambda value: Data(Tag.FLOAT64, value)),
        st.binary(min_size=12, max_size=12).map(lambda value: Data(Tag.DATE_TIME, value)),
        st.binary(min_size=5, max_size=5).map(lambda value: Data(Tag.DATE, value)),
        st.binary(min_size=4, max_size=4).map(lambda value: Data(Tag.TIME, value)),
    )


def _grown(inner: st.SearchStrategy[Data]) -> st.SearchStrategy[Data]:
    elements = st.lists(inner, max_size=6).map(tuple)
    return st.one_of(
        elements.map(lambda value: Data(Tag.ARRAY, value)),
        elements.map(lambda value: Data(Tag.STRUCTURE, value)),
    )


@pytest.fixture(scope="session")
def values() -> st.SearchStrategy[Data]:
    """Any COSEM value."""
    return st.recursive(_leaves(), _grown, max_leaves=30)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], list[dict[str, Any]]]:
    """Reads the cases of a golden file."""

    def read(name: str) -> list[dict[str, Any]]:
        cases: list[dict[str, Any]] = json.loads((_GOLDEN / f"{name}.json").read_text())
        return cases

    return read


@pytest.fixture(scope="session")
def green_book_keys() -> KeyRing:
    """The keys of the Green Book's examples."""
    return KeyRing(bytes(range(16)), bytes(range(0xD0, 0xE0)))
