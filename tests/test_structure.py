"""The house rules that a linter does not know, checked on the code itself."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SOURCE = REPOSITORY / "src" / "metertwin"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 350
MOST_FUNCTION_LINES = 60
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

# Which last words and which names are allowed, and why: tests/names.toml.
_NAMES = tomllib.loads((REPOSITORY / "tests" / "names.toml").read_text())
UNITS, DIMENSIONLESS, COSEM_DIMENSIONLESS, WHOLE_NAMES, AWAITED, TOO_LONG = (
    {name for names in _NAMES[section].values() for name in names}
    for section in ("units", "dimensionless", "cosem", "whole_names", "awaited", "too_long")
)

NUMBERS = {"int", "float", "Decimal"}
SCALAR_TYPES = {"int64", "int32", "uint32", "uint16", "uint8", "float64", "float32"}
AROUND_NUMBERS = {"NDArray", "np", "None", "Sequence", "list", "tuple", "Iterable", "Iterator"}


ALIASES: set[str] = set()  # filled below, from the code itself


@dataclass(frozen=True)
class NamedNumber:
    """A number that crosses a function's boundary, and where."""

    path: Path
    line: int
    owner: str
    name: str

    def complaint(self) -> str:
        """Return what is wrong, where, and what to do."""
        return (
            f"{self.path}:{self.line}: {self.owner} has the number {self.name!r} without a unit; "
            f"end its name in its unit (_w, _wh, _s, _ratio, _count ...) or, if it has none, "
            "list its last word with a reason in tests/names.toml."
        )

    @property
    def full_name(self) -> str:
        """The name as the lists of whole names have it."""
        return f"{self.owner}.{self.name}"


def array_aliases(sources: Iterable[str]) -> set[str]:
    """Return the names that modules give to arrays of numbers, such as Int64s."""
    return {
        target.id
        for source in sources
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        for target in node.targets
        if isinstance(target, ast.Name) and is_number(node.value)
    }


def is_number(annotation: ast.expr | None) -> bool:
    """Say whether an annotation stands for a number, an array of numbers or several of them."""
    if annotation is None:
        return False
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(annotation) if isinstance(node, ast.Attribute)}
    numbers = names & (NUMBERS | SCALAR_TYPES | ALIASES)
    return bool(numbers) and not names - numbers - AROUND_NUMBERS


ALIASES |= array_aliases(path.read_text() for path in FILES)


def has_unit(name: str, *, in_cosem: bool) -> bool:
    """Say whether a name's last word is a unit or stands for none."""
    words = name.lower().split("_")
    while len(words) > 1 and words[-1] in {"max", "min"}:
        words.pop()
    allowed = UNITS | DIMENSIONLESS | (COSEM_DIMENSIONLESS if in_cosem else set())
    return "per" in words[:-1] or bool({words[-1], words[-1].removesuffix("s")} & allowed)


def named_numbers(path: Path, tree: ast.Module) -> Iterator[NamedNumber]:
    """Yield the number parameters of public functions and the number fields of public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for part in node.body:
                yield from _of_field(path, node.name, part)
                yield from _of_function(path, f"{node.name}.", part)
        yield from _of_function(path, "", node)


def _of_field(path: Path, owner: str, node: ast.stmt) -> Iterator[NamedNumber]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        name = node.target.id
        if not name.startswith("_") and is_number(node.annotation):
            yield NamedNumber(path, node.lineno, owner, name)


def _of_function(path: Path, prefix: str, node: ast.stmt) -> Iterator[NamedNumber]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if node.name.startswith("_") and node.name != "__init__":
        return
    arguments = node.args
    for argument in chain(arguments.posonlyargs, arguments.args, arguments.kwonlyargs):
        if is_number(argument.annotation):
            yield NamedNumber(path, argument.lineno, f"{prefix}{node.name}", argument.arg)


def without_unit(path: Path, source: str) -> list[NamedNumber]:
    """Return the numbers of a module's source that have no unit."""
    return [
        number
        for number in named_numbers(path, ast.parse(source))
        if not has_unit(number.name, in_cosem="cosem" in path.parts)
        and number.full_name not in WHOLE_NAMES
    ]


def structure_complaints(path: Path, source: str) -> list[str]:
    """Return what is wrong with a file's name, length, functions or package paragraph."""
    tree = ast.parse(source)
    complaints = []
    if (name := path.stem.strip("_")) in EMPTY_NAMES:
        complaints.append(f"{path}: {name!r} says nothing; name the thing that is in it.")
    if (lines := len(source.splitlines())) > MOST_LINES and str(path) not in TOO_LONG:
        complaints.append(f"{path}: {lines} lines, {MOST_LINES} is the most; split it by subject.")
    if path.name == "__init__.py" and len((ast.get_docstring(tree) or "").split()) < 5:
        complaints.append(f"{path}:1: say in one paragraph what the package is.")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_FUNCTION_LINES:
                complaints.append(
                    f"{path}:{node.lineno}: {node.name} has {length} lines, "
                    f"{MOST_FUNCTION_LINES} is the most; name its parts."
                )
    return complaints


def test_numbers_that_cross_functions_carry_their_unit() -> None:
    bare = [
        number
        for path in FILES
        for number in without_unit(path.relative_to(REPOSITORY), path.read_text())
    ]
    assert len(FILES) > 10
    assert {"Int64s", "UInt8s", "Float64s"} <= ALIASES
    awaited = {number.full_name for number in bare} & AWAITED
    complaints = [number.complaint() for number in bare if number.full_name not in AWAITED]
    assert not complaints, "\n" + "\n".join(complaints)
    assert awaited == AWAITED, f"take {sorted(AWAITED - awaited)} off the list of awaited names"


BARE = """
@dataclass
class Load:
    power: float
    power_w: float
    phases: NDArray[np.float64]
    _hidden: int

    def __init__(self, delay: int) -> None: ...
    def scale(self, by: "str", step: int | None) -> None: ...
    def _private(self, amount: int) -> None: ...

async def wait(timeout: float, label: str, *, prices: list[Decimal]) -> None: ...
def price(energy_price_per_kwh: Decimal, deadline_ms: int, octets_max: int) -> None: ...
class _Hidden:
    speed: float
"""


def test_a_bare_number_is_named_with_file_line_function_and_remedy() -> None:
    found = without_unit(Path("src/metertwin/x.py"), BARE)
    assert [number.full_name for number in found] == [
        "Load.power",
        "Load.phases",
        "Load.__init__.delay",
        "Load.scale.step",
        "wait.timeout",
        "wait.prices",
    ]
    assert found[4].complaint() == (
        "src/metertwin/x.py:13: wait has the number 'timeout' without a unit; end its name in its "
        "unit (_w, _wh, _s, _ratio, _count ...) or, if it has none, list its last word with a "
        "reason in tests/names.toml."
    )


def test_the_protocols_own_names_are_allowed_in_its_package_only() -> None:
    source = "def expect(invoke: int) -> None: ..."
    assert without_unit(Path("src/metertwin/cosem/x.py"), source) == []
    assert len(without_unit(Path("src/metertwin/meters/x.py"), source)) == 1


def test_files_and_packages_are_named_told_and_short() -> None:
    tests = sorted((REPOSITORY / "tests").rglob("*.py"))
    complaints = [
        complaint
        for path in [*FILES, *tests]
        for complaint in structure_complaints(path.relative_to(REPOSITORY), path.read_text())
    ]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("a/utils.py", "", "a/utils.py: 'utils' says nothing; name the thing that is in it."),
        ("a/b.py", "\n" * 351, "a/b.py: 351 lines, 350 is the most; split it by subject."),
        ("a/__init__.py", "", "a/__init__.py:1: say in one paragraph what the package is."),
        (
            "a/b.py",
            "def long():\n" + "    x = 1\n" * 60,
            "a/b.py:1: long has 61 lines, 60 is the most; name its parts.",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_named_with_the_remedy(
    name: str, source: str, complaint: str
) -> None:
    assert structure_complaints(Path(name), source) == [complaint]


def test_packages_import_downwards_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Packages import downwards only KEPT" in done.stdout
