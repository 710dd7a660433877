"""Outputs of apps as they are kept: what an app concluded, in which version, about which moment."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from metertwin.core.ids import GroupId, MeterId


@dataclass(frozen=True, slots=True)
class AppOutput:
    """One output; (group, app, meter, name, at, revision) says which, said again it is the same.

    Attributes:
        app: Name of the app.
        app_version: Version that concluded it.
        meter: Whom it is about; None: the whole group.
        name: What it is, for example `bill`.
        at: The moment it is about.
        revision: Grows when something new is said of the same moment.
        issued_at: When it was concluded, in the meters' time.
        value: Plain values by name; decimals and times as text.
    """

    app: str
    app_version: str
    group: GroupId
    meter: MeterId | None
    name: str
    at: datetime
    revision: int
    issued_at: datetime
    value: dict[str, Any] = field(default_factory=dict)
