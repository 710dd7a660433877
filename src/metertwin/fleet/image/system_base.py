"""A base made from this machine: its Python, and the shared libraries that it and wheels need.

No registry, no package manager, no root: an interpreter, its standard library without what no
program needs, and the C libraries. There is no shell, no compiler and no pip in it.
"""

import re
import shutil
import subprocess
from pathlib import Path

from metertwin.fleet.image.errors import ImageBuildError
from metertwin.fleet.image.interpreter import Interpreter

PYTHON = "/usr/local/bin/python3"
_LEFT_OUT = (
    "__pycache__",
    "config-*",
    "dist-packages",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "_tkinter*",
    "_test*",
    "_ctypes_test*",
    "_xxtestfuzz*",
    "xxlimited*",
    "_curses*",
    "_dbm*",
    "_gdbm*",
    "nis.*",
    "ossaudiodev*",
    "readline*",
    "*.a",
)
# Beside what is linked: what wheels may count on (PEP 600), and what the C library loads by itself.
_ALWAYS = (
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
)
_USER = "metertwin:x:10001:10001::/tmp:/sbin/nologin\n"
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n" + _USER,
    "etc/group": "root:x:0:\nmetertwin:x:10001:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def make_root(root: Path, interpreter: Interpreter) -> list[Path]:
    """Make the base's root file system, and return the files of this machine that are in it.

    Returns:
        The shared libraries and, where a package of the system brought it, the interpreter, each by
        the path it has on this machine.

    Raises:
        ImageBuildError: A part is not where it should be on this machine.
    """
    version = "python" + ".".join(interpreter.version.split(".")[:2])
    programs = root / "usr" / "local" / "bin"
    programs.mkdir(parents=True)
    shutil.copy2(interpreter.program, programs / version)
    (programs / "python3").symlink_to(version)
    library = root / "usr" / "local" / "lib" / version
    shutil.copytree(interpreter.library, library, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    libraries = _copy_libraries(root, [programs / version, *library.rglob("*.so")])
    _strip([programs / version, *root.rglob("*.so*")])
    return [*([interpreter.program] if interpreter.is_system else []), *libraries]


def missing_libraries(root: Path, packages: Path) -> list[str]:
    """Return the libraries that compiled packages need and that they and the base do not have."""
    compiled = sorted(packages.rglob("*.so*"))
    there = {path.name for path in (*root.rglob("*.so*"), *compiled)}
    found, not_found = _looked_up(compiled)
    return sorted(({path.name for path in found} | not_found) - there)


def _copy_libraries(root: Path, programs: list[Path]) -> list[Path]:
    """Copy to where the loader looks always: the directory of the C library."""
    linked = {path.name: path for path in _looked_up(programs)[0]}
    try:
        place = linked["libc.so.6"].resolve().parent
        loader = next(path for name, path in linked.items() if name.startswith("ld-linux"))
    except (KeyError, StopIteration):
        raise ImageBuildError(
            "This machine's Python is not linked with glibc, so no base can be made from it; name "
            "one with --base."
        ) from None
    for name in _ALWAYS:
        if name not in linked and (place / name).exists():
            linked[name] = place / name
    target = root / place.relative_to("/")
    target.mkdir(parents=True)
    for name, path in linked.items():
        if path != loader:
            shutil.copy2(path.resolve(), target / name)
    _place_loader(root, loader)
    return sorted(path.resolve() for path in linked.values())


def _place_loader(root: Path, loader: Path) -> None:
    """Put the loader where programs name it; /lib may be a link to /usr/lib, as on most systems."""
    for name in ("lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    place = root / loader.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(loader.resolve(), place)


def _looked_up(programs: list[Path]) -> tuple[list[Path], set[str]]:
    """Return what the loader would load, itself included, and the names it would not find.

    Raises:
        ImageBuildError: This machine has no ldd.
    """
    ldd = shutil.which("ldd")
    if ldd is None:
        raise ImageBuildError("There is no program ldd here; install libc-bin, or give --base.")
    done = subprocess.run(  # noqa: S603 - of files we made
        [ldd, *map(str, programs)], capture_output=True, text=True, check=False
    )
    found = sorted(set(re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout)))
    return [Path(path) for path in found], set(re.findall(r"(\S+) => not found", done.stdout))


def _strip(files: list[Path]) -> None:
    """Take the debugging symbols out, where this machine can: half of some interpreters' size."""
    program = shutil.which("strip")
    if program is not None:
        plain = [str(path) for path in files if path.is_file() and not path.is_symlink()]
        subprocess.run(  # noqa: S603 - of files we made
            [program, "--strip-unneeded", *plain], capture_output=True, check=False
        )
