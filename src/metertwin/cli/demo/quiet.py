"""The demonstration's own log: beside those of its parts, not between its pictures."""

from pathlib import Path

import structlog


def log_to(path: Path) -> None:
    """Let this process log one JSON object a line to `path`."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged_at"),
            structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.WriteLoggerFactory(path.open("a")),
    )
