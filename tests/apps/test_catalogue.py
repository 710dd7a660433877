"""Apps are found by entry point, and what is wrong with one is said."""

import runpy
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from metertwin.apps.app import AppInfo, AppSettings, UnknownAppError
from metertwin.apps.catalogue import app_names, find_factory, info_of_factory, make_app
from metertwin.core.ids import GroupId

REPOSITORY = Path(__file__).parent.parent.parent
SETTINGS = AppSettings(GroupId("g1"))


def install(packages: Path, package: str, entry_points: str) -> None:
    described = packages / f"{package}-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[metertwin.apps]\n{entry_points}\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of installed packages, one of them with the app `watch` 3.1."""
    code = (
        "from metertwin.apps.app import AppInfo\n"
        "class Watch:\n"
        "    info = AppInfo('watch', '3.1')\n"
        "    def __init__(self, settings): pass\n"
        "class Other(Watch):\n"
        "    info = AppInfo('other', '3.1')\n"
    )
    (tmp_path / "watch_app_of_test.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "watch", "watch = watch_app_of_test:Watch")
    return tmp_path


def test_an_installed_app_is_made(packages: Path) -> None:
    assert "watch" in app_names()
    assert make_app("watch", "", SETTINGS).info.version == "3.1"
    assert make_app("watch", "3.1", SETTINGS).info.name == "watch"
    assert info_of_factory(find_factory("watch")) == AppInfo("watch", "3.1")


def test_another_version_than_installed_is_named(packages: Path) -> None:
    with pytest.raises(UnknownAppError, match=r"'watch 4.0' is wanted, installed .* is watch 3.1"):
        make_app("watch", "4.0", SETTINGS)


def test_an_app_under_anothers_name_is_refused(packages: Path) -> None:
    install(packages, "mixed", "mixed = watch_app_of_test:Other")
    with pytest.raises(UnknownAppError, match=r"'mixed' is wanted, .* is other 3.1"):
        make_app("mixed", "", SETTINGS)


def test_an_absent_app_is_said_with_those_there_are(packages: Path) -> None:
    with pytest.raises(UnknownAppError, match=r"has an app 'nothing'; there are .*watch"):
        find_factory("nothing")


def test_two_packages_with_one_app_are_refused(packages: Path) -> None:
    install(packages, "second", "watch = watch_app_of_test:Other")
    with pytest.raises(UnknownAppError, match=r"Several .* watch_app_of_test:Other, .*:Watch"):
        find_factory("watch")


def test_an_app_that_cannot_be_loaded_says_why(packages: Path) -> None:
    install(packages, "torn", "torn = watch_app_of_test:Missing")
    with pytest.raises(UnknownAppError, match=r"\(watch_app_of_test:Missing\) .* AttributeError"):
        find_factory("torn")


def test_the_source_tree_is_described_as_an_installed_package_is(tmp_path: Path) -> None:
    describe = runpy.run_path(str(REPOSITORY / "tools" / "bootstrap" / "describe.py"))["describe"]
    (tmp_path / "metertwin-0.0.9.dist-info").mkdir()
    described = describe(REPOSITORY / "pyproject.toml", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [described.name]  # the earlier one went
    distribution = PathDistribution(described)
    assert distribution.metadata["Name"] == "metertwin"
    found = {(each.group, each.name): each.value for each in distribution.entry_points}
    assert found["console_scripts", "metertwin"] == "metertwin.cli.main:main"
    assert found["metertwin.apps", "tariff"] == "metertwin.apps.tariff.app:TariffApp"
