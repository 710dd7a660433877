"""The state directory of a site: where everything lies, with modes that keep secrets secret."""

from dataclasses import dataclass
from pathlib import Path

from metertwin.core.errors import UnavailableError
from metertwin.core.ids import SiteId


class StateDirectoryError(UnavailableError):
    """The state directory cannot be used."""

    code = "fleet.state_directory"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Paths below a site's state directory."""

    root: Path

    @property
    def site_file(self) -> Path:
        """The site's settings."""
        return self.root / "site.json"

    @property
    def meters_file(self) -> Path:
        """Links and keys of the site's meters: mode 0600."""
        return self.root / "meters.json"

    @property
    def secrets(self) -> Path:
        """Seeds and tokens: mode 0700, files 0600."""
        return self.root / "secrets"

    @property
    def bus_seeds(self) -> Path:
        """The bus seed of each role."""
        return self.secrets / "bus"

    @property
    def api_token_file(self) -> Path:
        """The API's token."""
        return self.secrets / "api.token"

    @property
    def street_secret_file(self) -> Path:
        """What the keys of a simulated street follow from."""
        return self.secrets / "street.secret"

    @property
    def bus(self) -> Path:
        """Configuration and streams of the bus."""
        return self.root / "bus"

    @property
    def history_file(self) -> Path:
        """The recorder's store."""
        return self.root / "history.duckdb"

    def part(self, name: str) -> "StateDirectory":
        """Return the directory that one of the site's parts sees as its own."""
        return StateDirectory(self.root / "parts" / name)

    @property
    def world(self) -> "StateDirectory":
        """The simulated street of a cloud's edges."""
        return StateDirectory(self.root / "world")

    def edge(self, site: SiteId) -> "StateDirectory":
        """Return the state directory of an edge on this machine."""
        return StateDirectory(self.root / "sites" / site)

    def link(self, site: SiteId) -> "StateDirectory":
        """Return the directory of an edge's link on this machine."""
        return StateDirectory(self.root / "links" / site)

    @property
    def link_settings_file(self) -> Path:
        """In a link's directory: between which ports it relays."""
        return self.root / "link.json"

    @property
    def link_file(self) -> Path:
        """In a link's directory: how it shall be, whole, cut or silent."""
        return self.root / "wanted"

    @property
    def twin_hosts_file(self) -> Path:
        """Which twin hosts the site runs, and from what."""
        return self.root / "twin-hosts.json"

    @property
    def logs(self) -> Path:
        """One log per role."""
        return self.root / "log"

    def make(self) -> None:
        """Make the directories that are missing.

        Raises:
            StateDirectoryError: The place cannot be written.
        """
        try:
            for directory in (self.root, self.secrets, self.bus, self.logs):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateDirectoryError(
                f"State directory {self.root} cannot be made: {error.strerror}. "
                "Give another with --state, or check owner and free space.",
                path=str(self.root),
            ) from error
