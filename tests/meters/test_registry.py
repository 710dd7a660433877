import json
import stat
from pathlib import Path

import pytest

from metertwin.meters.entry import MeterEntry, MeterOrigin, Security
from metertwin.meters.errors import RegistryError
from metertwin.meters.registry import load_registry, save_registry

KEY = "000102030405060708090a0b0c0d0e0f"


def entry(name: str, **changes: object) -> MeterEntry:
    facts: dict[str, object] = {"id": name, "group": "g1", "host": "127.0.0.1", "port": 4059}
    return MeterEntry(**{**facts, **changes})  # type: ignore[arg-type]  # values are varied


def write(path: Path, *meters: dict[str, object], version: int = 1) -> None:
    path.write_text(json.dumps({"version": version, "meters": meters}))
    path.chmod(0o600)


def test_what_is_saved_is_loaded_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    entries = [
        entry("m1"),
        entry(
            "m2",
            security=Security.HIGH,
            authentication_key=KEY,
            encryption_key=KEY,
            system_title="4d54570000000001",
            zone="Europe/Berlin",
            origin=MeterOrigin.SIMULATED,
            is_protected=True,
        ),
    ]
    save_registry(path, entries)
    assert load_registry(path) == tuple(entries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_do_not_show_in_a_repr() -> None:
    text = repr(entry("m1", encryption_key=KEY, password="70617373"))
    assert KEY not in text
    assert "70617373" not in text


def test_every_problem_is_listed_with_its_entrys_position(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    fine = {"id": "m1", "group": "g", "host": "h", "port": 1}
    write(
        path,
        fine,
        {**fine, "id": "m.2", "zone": "Mars/North"},
        {**fine, "id": "m3", "security": "high", "encryption_key": "00"},
        {**fine, "id": "m4", "port": 70_000},
        {**fine, "id": "m1", "security": "low", "password": "xyz"},
    )
    with pytest.raises(RegistryError) as caught:
        load_registry(path)
    sentence = str(caught.value)
    for expected in (
        "entry 2: m.2: Meter id 'm.2' is not usable".replace("Meter", "meter"),
        "entry 2: m.2: zone 'Mars/North' is not an IANA zone",
        "entry 3: m3: security high needs authentication_key of 16 octets",
        "entry 3: m3: security high needs encryption_key of 16 octets",
        "entry 3: m3: security high needs system_title of 8 octets",
        "entry 4: Expected `int` <= 65535 - at `$.port`",
        "entry 5: m1: password is not hexadecimal",
        "entry 1: m1: the id is used 2 times",
        "entry 5: m1: the id is used 2 times",
    ):
        assert expected in sentence
    assert len(caught.value.facts["problems"]) == 9  # type: ignore[arg-type]  # a list of facts


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    write(path)
    path.chmod(0o640)
    with pytest.raises(RegistryError, match="run chmod 600"):
        load_registry(path)


def test_another_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    write(path, version=7)
    with pytest.raises(RegistryError, match="has version 7, this program reads version 1"):
        load_registry(path)


def test_a_missing_or_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    with pytest.raises(RegistryError, match="cannot be read: No such file"):
        load_registry(path)
    path.write_text("{")
    path.chmod(0o600)
    with pytest.raises(RegistryError, match="is no registry of meters"):
        load_registry(path)


def test_saving_refuses_what_loading_would_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    save_registry(path, [entry("m1")])
    with pytest.raises(RegistryError, match="entry 1: m2: security low needs a password"):
        save_registry(path, [entry("m2", security=Security.LOW)])
    assert [kept.id for kept in load_registry(path)] == ["m1"]
