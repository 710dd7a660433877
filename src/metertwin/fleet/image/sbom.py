"""The bill of materials of an image, as CycloneDX JSON: each package, with version and licence."""

import importlib.metadata
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import metertwin
from metertwin.fleet.image.base_image import Base

SPEC_VERSION = "1.5"
_OWN = "metertwin"

Component = dict[str, object]


def bill_of_materials(packages: Iterable[Path], base: Base) -> dict[str, object]:
    """Return the bill of materials.

    Args:
        packages: Directories that hold packages.
        base: What they stand on. What is in one that was given, it must say itself.
    """
    components = [
        _of_package(each)
        for directory in packages
        for each in importlib.metadata.distributions(path=[str(directory)])
        if _name(each) != _OWN
    ]
    if base.interpreter is None:
        components.append({"type": "container", "name": base.reference})
    else:
        components += [_python(base.interpreter.version), *_of_system(base.libraries)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": _OWN,
                "version": metertwin.__version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": sorted(components, key=lambda each: (str(each["type"]), str(each["name"]))),
    }


def _name(found: importlib.metadata.Distribution) -> str:
    return str(found.metadata["Name"]).lower().replace("_", "-")


def _of_package(found: importlib.metadata.Distribution) -> Component:
    name, version = _name(found), found.version
    component: Component = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
    }
    licences = [
        *(found.metadata.get_all("License-Expression") or []),
        *(
            classifier.rpartition(" :: ")[2]
            for classifier in found.metadata.get_all("Classifier") or []
            if classifier.startswith("License :: ")
        ),
    ]
    if licences:
        component["licenses"] = [{"license": {"name": each}} for each in dict.fromkeys(licences)]
    return component


def _python(version: str) -> Component:
    return {
        "type": "framework",
        "name": "cpython",
        "version": version,
        "purl": f"pkg:generic/cpython@{version}",
        "licenses": [{"license": {"name": "Python-2.0"}}],
    }


def _of_system(libraries: Sequence[Path]) -> list[Component]:
    """Return the system's packages that files came from; a file of none stands for itself."""
    owners = {path: _debian_package(path) for path in libraries}
    packages = sorted({owner for owner in owners.values() if owner is not None})
    components: list[Component] = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/debian/{name}@{version}",
        }
        for name, version in packages
    ]
    components += [
        {"type": "file", "name": path.name} for path, owner in owners.items() if owner is None
    ]
    return components


def _debian_package(path: Path) -> tuple[str, str] | None:
    query = shutil.which("dpkg-query")
    if query is None:
        return None
    # Files are registered under /lib where that is a link to /usr/lib.
    for name in (path, Path("/", *path.parts[2:])):
        owner = _said(query, "--search", str(name)).partition(":")[0]
        if owner:
            return owner, _said(query, "--show", "--showformat=${Version}", owner)
    return None


def _said(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - dpkg-query
        command, capture_output=True, text=True, check=False
    )
    return done.stdout.strip().split("\n")[0]
