"""The documents lead where they say, and speak of what is there."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = LINK.findall(document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_package_has_its_paragraph_in_the_architecture() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    packages = [init.parent.name for init in (REPOSITORY / "src/metertwin").glob("*/__init__.py")]
    assert len(packages) > 2
    assert [name for name in packages if f"**{name}**" not in text] == []


def test_every_decision_is_listed_under_its_title() -> None:
    decisions = REPOSITORY / "docs" / "adr"
    index = (decisions / "README.md").read_text()
    for decision in sorted(decisions.glob("0*.md")):
        number, title = decision.read_text().splitlines()[0].removeprefix("# ").split(": ", 1)
        assert decision.name.startswith(number)
        assert f"| [{number}]({decision.name}) | {title} |" in index


def test_the_conventions_name_every_unit_the_code_is_checked_for() -> None:
    text = (REPOSITORY / "docs" / "conventions.md").read_text()
    for suffix in ("_w", "_wh", "_var", "_varh", "_v", "_a", "_hz", "_s", "_ms", "_us", "_ratio"):
        assert f"`{suffix}`" in text
