"""A role's start: when the command line's library is left out, and what else is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metertwin.cli.main import role_and_state
from metertwin.cli.role import RoleName

# A twin host without a site has imported all it needs, and fails at the first file it reads.
START = """
import gc, json, sys
from metertwin.cli.main import main
try:
    main()
finally:
    unwanted = {"typer", "pydantic", "rich", "duckdb", "litestar", "pyarrow"}
    unwanted |= {"metertwin.cosem.calendar_tables", "metertwin.twins.stand_in", "numpy.random"}
    print(json.dumps([gc.isenabled(), *sorted(unwanted & set(sys.modules))]))
"""


def test_a_twin_host_loads_neither_the_command_lines_library_nor_what_other_roles_need(
    tmp_path: Path,
) -> None:
    words = ["run", "twin-host", "--state", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-c", START, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f"metertwin: No site file at {tmp_path}/site.json" in ended.stderr
    assert json.loads(ended.stdout) == [True]


@pytest.mark.parametrize("role", RoleName)
def test_a_runtimes_four_words_name_role_and_state(role: RoleName) -> None:
    assert role_and_state(["run", role.value, "--state", "x"]) == (role, Path("x"))


@pytest.mark.parametrize(
    "words",
    [
        ["run", "bus"],
        ["run", "buss", "--state", "x"],
        ["run", "--state", "x", "bus"],
        ["run", "bus", "--state", "x", "y"],
        ["twins", "bus", "--state", "x"],
        [],
    ],
)
def test_other_words_are_left_to_the_command_line(words: list[str]) -> None:
    assert role_and_state(words) is None
