"""Which Python goes into a base: the system's where it can carry the packages, else this one."""

import platform
import sys
from pathlib import Path

import pytest

from metertwin.fleet.image.interpreter import find_interpreter

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
SYSTEM = Path("/usr/bin") / NAME


def written(directory: Path, script: str) -> Path:
    program = directory / NAME
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return directory


@pytest.mark.skipif(not SYSTEM.exists(), reason=f"This system brings no {NAME}.")
def test_the_systems_is_taken_where_it_is_whole() -> None:
    found = find_interpreter()
    assert found.is_system
    assert found.program == SYSTEM.resolve()
    assert (found.library / "os.py").is_file()
    assert found.build.startswith(found.version)


def test_where_the_system_brings_none_it_is_the_running_one(tmp_path: Path) -> None:
    found = find_interpreter(tmp_path)
    assert not found.is_system
    assert found.version == platform.python_version()
    assert (found.library / "os.py").is_file()


@pytest.mark.parametrize(
    "script",
    [
        "echo 'ModuleNotFoundError: No module named ssl' >&2; exit 1",
        "echo no JSON",
        """echo '["/usr/bin/x", "/usr/lib/x", "2.7.18", "2.7.18 (main)", "CPython", true]'""",
        f"""echo '["/x", "/y", "{platform.python_version()}", "x", "PyPy", true]'""",
        f"""echo '["/x", "/y", "{platform.python_version()}", "x", "CPython", false]'""",
    ],
    ids=["incomplete", "silent", "other version", "other kind", "no lock"],
)
def test_one_that_could_not_carry_the_packages_is_passed_over(tmp_path: Path, script: str) -> None:
    assert not find_interpreter(written(tmp_path, script)).is_system
