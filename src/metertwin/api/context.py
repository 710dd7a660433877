"""What the resources share: the bus, who hosts which meter, the clock, the live hub."""

from dataclasses import dataclass
from pathlib import Path

from metertwin.api.commands import CommandBook
from metertwin.api.directory import GroupDirectory
from metertwin.api.health import HealthCheck
from metertwin.api.live import LiveHub
from metertwin.api.metrics import ApiMetrics
from metertwin.bus.connection import Bus
from metertwin.core.clock import Clock
from metertwin.core.ids import GroupId, SiteId

DEADLINE_S = 10.0  # of a request that names none
DEADLINE_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens and what it serves.

    Attributes:
        port: 0 for any free port.
        stood_in: The groups of edges, for whose hosts the cloud's twin host stands in.
        token_file: Made at first start.
    """

    site: SiteId
    groups: tuple[GroupId, ...]
    token_file: Path
    host: str = "127.0.0.1"
    port: int = 8470
    stood_in: frozenset[GroupId] = frozenset()


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What every resource is handed."""

    settings: ApiSettings
    bus: Bus
    clock: Clock
    directory: GroupDirectory
    live: LiveHub
    book: CommandBook
    health: HealthCheck
    metrics: ApiMetrics
