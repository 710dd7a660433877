"""What goes into an image is checked before anything is done."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metertwin.cli.heartbeat import age_s, main, show_life
from metertwin.fleet.image.errors import ImageInputError, ImagePartMissingError
from metertwin.fleet.image.inputs import ImageInputs
from metertwin.fleet.image.packages import install_added


@pytest.mark.parametrize("text", ["standby-watch==1.0.0", "a==1!2.0.post1+local", "x[extra]==1"])
def test_an_exact_version_is_taken(text: str) -> None:
    ImageInputs("metertwin:1", added=(text,)).check()


@pytest.mark.parametrize(
    "text", ["standby-watch", "a>=1", "a==", "==1", "a == 1", "-r x", "--help"]
)
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ImageInputError, match="is not of the form PACKAGE==VERSION, nor the path"):
        ImageInputs("metertwin:1", added=(text,)).check()


def test_a_wheel_that_is_not_there_is_named() -> None:
    with pytest.raises(ImagePartMissingError, match=r"There is no wheel /no/such\.whl\."):
        ImageInputs("metertwin:1", added=("/no/such.whl",)).check()


def test_a_tag_that_is_no_reference_is_refused() -> None:
    with pytest.raises(ImageInputError, match="Tag 'Meter Twin' is not a reference such as"):
        ImageInputs("Meter Twin").check()


def test_the_digest_follows_the_inputs_and_not_the_tag(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"one")
    plain = ImageInputs("metertwin:1").digest()
    one = ImageInputs("metertwin:1", added=(str(wheel),)).digest()
    wheel.write_bytes(b"two")
    two = ImageInputs("metertwin:1", added=(str(wheel),)).digest()
    assert len({plain, one, two, ImageInputs("metertwin:1", base="python:3").digest()}) == 4
    assert ImageInputs("other:2").digest() == plain


def test_a_package_that_does_not_exist_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "index"
    empty.mkdir()
    # An index of this machine without any package: what pip says is the same.
    os.environ["PIP_NO_INDEX"], os.environ["PIP_FIND_LINKS"] = "1", str(empty)
    try:
        with pytest.raises(ImagePartMissingError, match=r"There is no nowhere==9\.9 for Python 3"):
            install_added(tmp_path / "lib", ["nowhere==9.9"], tmp_path, ())
    finally:
        del os.environ["PIP_NO_INDEX"], os.environ["PIP_FIND_LINKS"]


def test_the_command_line_says_what_is_wrong_in_one_sentence() -> None:
    for arguments, words in (
        (["build", "--engine", "/no/such.sock"], "metertwin: No container engine answers at /no/s"),
        (["list", "--engine", "tcp://10.0.0.1:1"], "metertwin: Engine address 'tcp://10.0.0.1:1'"),
        (["build", "--with", "a>=1"], "metertwin: 'a>=1' is not of the form PACKAGE==VERSION"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "metertwin.cli", "image", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.strip().splitlines()[-1].startswith(words)
        assert "Traceback" not in done.stderr


def test_a_fresh_sign_of_life_is_healthy_and_an_old_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "heartbeat"
    assert main([str(file)]) == 1
    assert "there is none" in capsys.readouterr().err
    for _ in range(1000):  # also the very moment after, whatever the clock's last digits are
        show_life(file)
        assert main([str(file)]) == 0
    assert (age_s(file) or 0.0) < 1.0
    file.write_text(f"{time.monotonic_ns() - 30_000_000_000}")
    assert main([str(file)]) == 1
    assert "the last was 30 s ago; the role starts, hangs, or" in capsys.readouterr().err


def test_the_check_of_the_heartbeat_imports_nothing_heavy() -> None:
    heavy = "[n for n in ('asyncio', 'typer', 'msgspec', 'numpy', 'structlog') if n in sys.modules]"
    script = f"import sys, metertwin.cli.heartbeat; print({heavy})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
