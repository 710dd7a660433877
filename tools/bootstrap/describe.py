"""Describes MeterTwin to importlib.metadata where it is used from its source, not installed.

    python tools/bootstrap/describe.py PYPROJECT SITE_PACKAGES

Entry points, the apps among them, are found through a package's dist-info. `./run` installs
nothing of its own, so this writes the little that is looked up there: name, version, entry points.
"""

import shutil
import sys
import tomllib
from pathlib import Path


def describe(pyproject: Path, site_packages: Path) -> Path:
    """Write the dist-info of a project and return its directory; an earlier version's goes."""
    project = tomllib.loads(pyproject.read_text())["project"]
    name, version = project["name"], project["version"]
    for earlier in site_packages.glob(f"{name}-*.dist-info"):
        shutil.rmtree(earlier)
    described = site_packages / f"{name}-{version}.dist-info"
    described.mkdir(parents=True)
    groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
    (described / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(points.items()))
            for group, points in sorted(groups.items())
        )
    )
    (described / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    return described


if __name__ == "__main__":
    describe(Path(sys.argv[1]), Path(sys.argv[2]))
