"""The packages in an image: locked dependencies, added apps, MeterTwin itself; nothing unneeded."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

import metertwin
from metertwin.fleet.image.errors import ImageBuildError, ImagePartMissingError
from metertwin.fleet.image.inputs import lock_file

# Never imported at run time: tests, headers, sources, and parts of Arrow that nothing here opens.
_UNNEEDED = (
    "**/__pycache__",
    "**/tests",
    "**/test",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.c",
    "**/*.h",
    "**/*.hpp",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/*.lib",
    "pyarrow/libarrow_flight*",
    "pyarrow/_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/libarrow_s3*",
    "pyarrow/_s3fs*",
    "faker/providers/*/[!e_]*_*",  # made-up names of all languages, which come with Litestar
    "uvloop/loop.c",
    "power_grid_model/_core/**/include",
    "power_grid_model/_core/**/cmake",
    "bin/f2py",
    "bin/numpy-config",
)


def install_locked(target: Path) -> None:
    """Install the locked dependencies, each file of the hash that the lock names.

    Raises:
        ImageBuildError: pip failed; its last words are in the sentence.
    """
    _pip(target, ["--require-hashes", "-r", str(lock_file())])
    prune(target)


def install_added(target: Path, added: Sequence[str], work: Path, already: Collection[str]) -> None:
    """Install further packages, beside which the locked versions stay as they are.

    Args:
        target: Directory to install into.
        added: Pins and wheels.
        work: Directory for what is needed meanwhile.
        already: Names that the dependencies have in their directory; those are not doubled.

    Raises:
        ImagePartMissingError: There is no such package or version.
        ImageBuildError: pip failed, for instance because a package needs another version.
    """
    # With their markers: the lock has another numpy for another Python.
    pins = re.findall(r"^[A-Za-z0-9][^\s;\\]*==[^\\\n]+", lock_file().read_text(), re.MULTILINE)
    constraints = work / "constraints.txt"
    itself = _stand_in(work)  # an app needs MeterTwin, which no index has and the image gets anyway
    pins.append(f"metertwin @ {itself.as_uri()}")
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    fresh = work / "added"
    _pip(fresh, ["--constraint", str(constraints), *added])
    prune(fresh)
    for path in sorted(fresh.iterdir()):
        if path.name not in already and not path.name.startswith("metertwin-"):
            shutil.move(path, target / path.name)


def _stand_in(directory: Path) -> Path:
    """Make a wheel that says that MeterTwin is there, and holds nothing."""
    version = metertwin.__version__
    wheel = directory.absolute() / f"metertwin-{version}-py3-none-any.whl"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: metertwin\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"metertwin-{version}.dist-info/{name}", text)
    return wheel


def copy_metertwin(target: Path) -> None:
    """Copy MeterTwin as it runs here, with what tells its entry points."""
    package = Path(metertwin.__file__).parent
    shutil.copytree(
        package, target / "metertwin", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    described = importlib.metadata.distribution("metertwin").locate_file(
        f"metertwin-{metertwin.__version__}.dist-info"
    )
    shutil.copytree(Path(str(described)), target / Path(str(described)).name)
    if not (package / "requirements.lock").exists():
        shutil.copy2(lock_file(), target / "metertwin" / "requirements.lock")


def installer_source() -> bytes:
    """Return this module's source: what it leaves out decides what an installation holds."""
    return Path(__file__).read_bytes()


def prune(target: Path) -> None:
    """Remove what no program needs."""
    for pattern in _UNNEEDED:
        for path in sorted(target.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def compile_in(root: Path, inside: str) -> None:
    """Compile all modules, so that a read-only image starts fast.

    Args:
        root: Directory of the modules here.
        inside: Their directory in the image, for tracebacks.
    """
    # Not by time stamp: those do not survive the way into an image. Unchecked: nobody edits it.
    done = subprocess.run(  # noqa: S603 - this interpreter
        [
            *(sys.executable, "-m", "compileall", "-q", "-s", str(root), "-p", inside),
            *("--invalidation-mode", "unchecked-hash", str(root)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    # Some packages carry templates that are no valid modules: they are left uncompiled.
    if done.returncode not in (0, 1):
        raise ImageBuildError(f"The modules cannot be compiled: {done.stderr.strip()}.")


def _pip(target: Path, arguments: Sequence[str]) -> None:
    done = subprocess.run(  # noqa: S603 - pip, with checked arguments
        [
            *_pip_command(),
            *("install", "--disable-pip-version-check", "-q", "--no-compile"),
            *("--target", str(target), *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
    if missing:
        raise ImagePartMissingError(
            f"There is no {missing.group(1)} for Python {sys.version_info.major}."
            f"{sys.version_info.minor} at the package index; check its name and version.",
            package=missing.group(1),
        )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    said = (errors or done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise ImageBuildError(f"pip failed: {said.removeprefix('ERROR: ').rstrip('.')}.")


def _pip_command() -> list[str]:
    """Return this Python's pip, else the one beside the source."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    bundled = Path(metertwin.__file__).parents[2] / "tools" / "bootstrap"
    for wheel in sorted(bundled.glob("pip-*.whl")):
        return [sys.executable, f"{wheel}/pip"]
    raise ImageBuildError(
        f"{sys.executable} has no pip, and there is none in {bundled}; install python3-pip."
    )
