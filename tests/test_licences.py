"""No dependency brings a licence that MeterTwin's own does not allow."""

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parent.parent
REFUSED = re.compile(
    r"\b[AL]?GPL|GNU .*General Public|\bBUSL|Business Source|\bSSPL|Server Side Public"
    r"|Elastic License|Commons Clause|Proprietary",
    re.IGNORECASE,
)


def direct_requirements() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    requirements: list[str] = project["project"]["dependencies"]
    return requirements


def licence_of(found: Distribution) -> str:
    """Return what the package's metadata says, its first line where it is a whole text."""
    metadata = found.metadata
    said = [
        *(metadata.get_all("License-Expression") or []),
        *(text.strip().split("\n")[0] for text in metadata.get_all("License") or []),
        *(
            classifier.removeprefix("License :: ")
            for classifier in metadata.get_all("Classifier") or []
            if classifier.startswith("License :: ")
        ),
    ]
    return "; ".join(text for text in said if text)


def needed_distributions() -> dict[str, Distribution]:
    """Return every distribution that the runtime dependencies need here, themselves included."""
    needed: dict[str, Distribution] = {}
    waiting = direct_requirements()
    while waiting:
        requirement = Requirement(waiting.pop())
        extras = requirement.extras or {""}
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if not wanted or requirement.name.lower() in needed:
            continue
        found = distribution(requirement.name)
        needed[requirement.name.lower()] = found
        waiting.extend(found.requires or [])
    return needed


def test_every_needed_package_says_its_licence_and_none_is_refused() -> None:
    licences = {name: licence_of(found) for name, found in needed_distributions().items()}
    assert len(licences) > len(direct_requirements())
    assert [name for name, licence in licences.items() if not licence] == []
    assert {name: said for name, said in licences.items() if REFUSED.search(said)} == {}


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-2.0-only",
        "AGPL-3.0-or-later",
        "LGPL-3.0",
        "GNU General Public License v2 (GPLv2)",
        "BUSL-1.1",
        "Business Source License 1.1",
        "SSPL-1.0",
    ],
)
def test_a_licence_that_would_not_do_is_recognised(licence: str) -> None:
    assert REFUSED.search(licence)


def test_the_decision_lists_every_direct_dependency() -> None:
    decision = (REPOSITORY / "docs" / "adr" / "0004-dependencies.md").read_text()
    names = [Requirement(text).name for text in direct_requirements()]
    assert [name for name in names if f"| {name} |" not in decision] == []
