"""Which of this machine's Pythons goes into a base: the system's, else the one that runs this.

The system's comes with its distribution's security updates, stands in the bill of materials as its
package, and is built with profile-guided optimisation, which makes a role's start a tenth shorter
than with one that was compiled without. Packages are made for one version, so only a system's
Python of that version will do.
"""

import json
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_SYSTEM_PROGRAMS = Path("/usr/bin")
_WITHIN_S = 20.0
# Distributions cut the library into packages; what roles and their libraries import must be there.
_NEEDED = (
    "asyncio",
    "bz2",
    "concurrent.futures",
    "ctypes",
    "decimal",
    "email",
    "encodings.idna",
    "http.client",
    "logging.config",
    "lzma",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "unittest.mock",
    "uuid",
    "xml.etree.ElementTree",
    "zoneinfo",
)
_ASK = f"""
import importlib, json, os, platform, sys, sysconfig
for name in {_NEEDED!r}:
    importlib.import_module(name)
print(json.dumps([
    os.path.realpath(sys.executable), sysconfig.get_path("stdlib"), platform.python_version(),
    sys.version, platform.python_implementation(),
    not sysconfig.get_config_var("Py_GIL_DISABLED"),
]))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of this machine.

    Attributes:
        program: Its executable, links followed.
        library: Directory of its standard library.
        version: Such as 3.11.2.
        build: Its version with compiler and time of its making.
        is_system: Whether the operating system brought it.
    """

    program: Path
    library: Path
    version: str
    build: str
    is_system: bool


def find_interpreter(programs: Path = _SYSTEM_PROGRAMS) -> Interpreter:
    """Return the Python that a base is made of.

    Args:
        programs: Directory in which the system's Python is looked for.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return _system(programs / name) or _running()


def _system(program: Path) -> Interpreter | None:
    """Return the system's Python if it is there, whole, and of the kind that runs this."""
    if not program.is_file():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the system's own
            [program, "-I", "-c", _ASK],
            capture_output=True,
            text=True,
            check=True,
            timeout=_WITHIN_S,
        )
        found, library, version, build, kind, has_lock = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    is_alike = version.split(".")[:2] == platform.python_version().split(".")[:2]
    if kind != platform.python_implementation() or not is_alike or not has_lock:
        return None
    return Interpreter(Path(found), Path(library), version, build, is_system=True)


def _running() -> Interpreter:
    # In a virtual environment the executable is a link to the one that knows its library.
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public says it
    library = Path(sysconfig.get_path("stdlib"))
    return Interpreter(program, library, platform.python_version(), sys.version, is_system=False)
