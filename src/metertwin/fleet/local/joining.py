"""A cloud, and edges on other machines that join it: what each must know of the other.

The edge gives its settings, in which there is no secret. The cloud admits it and answers with a
ticket: where it is found, the seed that lets this edge in, and the certificate by which the edge
knows its cloud. Somebody carries the ticket there, as a key is carried.
"""

import ipaddress
import re
from pathlib import Path

import msgspec

from metertwin.bus.certificate import CERTIFICATE, ensure_certificate
from metertwin.bus.credentials import ensure_seed
from metertwin.bus.place import host_and_port, leaf_seed_name
from metertwin.core.errors import ConflictError, InvalidInputError
from metertwin.core.ids import SiteId
from metertwin.fleet.local.founding import check_free, check_ports
from metertwin.fleet.site import (
    SITE_VERSION,
    EdgeSettings,
    SiteSettings,
    UplinkSettings,
    load_site,
    save_private,
    save_site,
)
from metertwin.fleet.state import StateDirectory
from metertwin.twins.settings import AppGrant

TICKET_VERSION = 1
# Both go into the bus's configuration: what has another form could say other things there.
_URL = re.compile(r"nats-leaf://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}")
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_HOST = re.compile(r"[0-9A-Fa-f:.]{2,45}|[A-Za-z0-9._-]{1,253}")


class TicketError(InvalidInputError):
    """A ticket cannot be used."""

    code = "input.ticket"


class PlaceTakenError(ConflictError):
    """A site's place among others does not allow it."""

    code = "conflict.place"


class CloudPlan(msgspec.Struct, frozen=True):
    """What a person says of a new cloud.

    Attributes:
        site: Its name.
        reached_by: Names or addresses by which edges find it; the first stands in their tickets.
        leaf_port: Port edges connect to, 1 to 65535.
        leaf_host: Address of this machine on which it listens for them.
        bus_port: Port of its bus on the loopback interface.
        api_port: Port of its API on the loopback interface.
        apps: Apps at work for groups that are hosted here and name none themselves.
    """

    site: SiteId
    reached_by: tuple[str, ...]
    leaf_port: int = 7422
    leaf_host: str = "0.0.0.0"  # noqa: S104 - edges are elsewhere; they prove who they are
    bus_port: int = 4222
    api_port: int = 8470
    apps: tuple[AppGrant, ...] = ()

    def check(self) -> None:
        """Raise InvalidInputError that names all that is out of range."""
        problems = check_ports(bus=self.bus_port, API=self.api_port, edges=self.leaf_port)
        if not self.reached_by:
            problems.append("edges need a name or an address by which they reach the cloud")
        problems += [
            f"{name[:64]!r} is neither the name nor the address of a host"
            for name in self.reached_by
            if not _HOST.fullmatch(name)
        ]
        try:
            ipaddress.ip_address(self.leaf_host)
        except ValueError:
            problems.append(f"{self.leaf_host!r} is no address of this machine to listen on")
        if problems:
            raise InvalidInputError("; ".join(problems) + ".")


class Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lets one edge into a cloud; to be kept as a key is.

    Attributes:
        cloud: The cloud's name.
        site: The edge it is for.
        url: Where the edge's bus connects.
        seed: The edge's seed.
        certificate: The cloud's, PEM.
    """

    version: int
    cloud: SiteId
    site: SiteId
    url: str
    seed: str
    certificate: str

    # A seed must not reach a log by way of a repr.
    def __repr__(self) -> str:
        return f"Ticket(cloud={self.cloud!r}, site={self.site!r}, url={self.url!r})"


def found_cloud(state: StateDirectory, plan: CloudPlan) -> SiteSettings:
    """Write a new cloud's settings; it has no edge yet, and nothing is started.

    Raises:
        SiteExistsError: A site lives there.
        InvalidInputError: The plan is out of range.
        StateDirectoryError: The directory cannot be made.
    """
    plan.check()
    check_free(state)
    settings = SiteSettings(
        version=SITE_VERSION,
        site=plan.site,
        bus_url=f"nats://127.0.0.1:{plan.bus_port}",
        groups=(),
        apps=plan.apps,
        api_port=plan.api_port,
        leaf_port=plan.leaf_port,
        leaf_host=plan.leaf_host,
        leaf_names=plan.reached_by,
    )
    state.make()
    save_site(state.site_file, settings)
    return settings


def admit_edge(state: StateDirectory, edge: SiteSettings) -> Ticket:
    """Let an edge into a cloud, from the cloud's next start on; again with what changed there.

    Args:
        state: Of the cloud.
        edge: The edge's settings, as it has them.

    Returns:
        The ticket; the same at every time, as long as the cloud keeps seed and certificate.

    Raises:
        SiteMissingError: There is no cloud.
        PlaceTakenError: The site there is no cloud, or this one cannot be its edge.
        PlaceError: A group of the edge is at home elsewhere already.
    """
    cloud = load_site(state.site_file)
    leaf_port = cloud.leaf_port
    if leaf_port is None:
        raise PlaceTakenError(
            f"Site {cloud.site} in {state.root} is no cloud; make one with `metertwin site cloud`.",
            site=cloud.site,
        )
    if edge.leaf_port is not None or edge.site == cloud.site:
        raise PlaceTakenError(
            f"Site {edge.site} cannot be an edge of {cloud.site}: it is a cloud itself, or has its "
            "name.",
            site=edge.site,
        )
    groups = edge.with_apps(edge.groups)
    others = tuple(each for each in cloud.edges if each.site != edge.site)
    cloud = msgspec.structs.replace(cloud, edges=(*others, EdgeSettings(edge.site, groups)))
    cloud.place.check()
    save_site(state.site_file, cloud)
    url = f"nats-leaf://{host_and_port(cloud.leaf_names[0], leaf_port)}"
    return ticket_for(state, cloud, edge.site, url)


def ticket_for(state: StateDirectory, cloud: SiteSettings, edge: SiteId, url: str) -> Ticket:
    """Return the ticket of an edge; the cloud's seed for it and certificate are made if missing.

    Args:
        state: Of the cloud.
        cloud: Its settings.
        edge: The edge.
        url: Where the edge's bus finds it.
    """
    state.bus_seeds.mkdir(parents=True, mode=0o700, exist_ok=True)
    seed = state.bus_seeds / f"{leaf_seed_name(edge)}.seed"
    ensure_seed(seed)
    certificate = ensure_certificate(state.bus_seeds, cloud.leaf_names)
    return Ticket(
        version=TICKET_VERSION,
        cloud=cloud.site,
        site=edge,
        url=url,
        seed=seed.read_text().strip(),
        certificate=certificate.read_text(),
    )


def join_cloud(state: StateDirectory, ticket: Ticket) -> SiteSettings:
    """Make a site an edge of the cloud that gave the ticket, from its next start on.

    Raises:
        SiteMissingError: There is no site.
        TicketError: The ticket is for another site.
        PlaceTakenError: The site is a cloud.
    """
    settings = load_site(state.site_file)
    if settings.site != ticket.site:
        raise TicketError(
            f"The ticket is for site {ticket.site}, and {state.root} has {settings.site}.",
            site=ticket.site,
        )
    if settings.leaf_port is not None:
        raise PlaceTakenError(f"Site {settings.site} is a cloud itself.", site=settings.site)
    joined = msgspec.structs.replace(settings, uplink=keep_uplink(state, ticket))
    save_site(state.site_file, joined)
    return joined


def keep_uplink(state: StateDirectory, ticket: Ticket) -> UplinkSettings:
    """Put what a ticket carries where the edge's bus looks for it, and return where that is."""
    state.bus_seeds.mkdir(parents=True, mode=0o700, exist_ok=True)
    seed = state.bus_seeds / f"{leaf_seed_name(ticket.site)}.seed"
    certificate = state.bus_seeds / CERTIFICATE
    save_private(seed, f"{ticket.seed}\n".encode())
    save_private(certificate, ticket.certificate.encode())
    return UplinkSettings(ticket.url, str(seed.resolve()), str(certificate.resolve()))


def load_ticket(path: Path) -> Ticket:
    """Read a ticket.

    Raises:
        TicketError: It cannot be read, or is none.
    """
    try:
        ticket = msgspec.json.decode(path.read_bytes(), type=Ticket)
    except OSError as error:
        raise TicketError(f"Ticket {path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise TicketError(
            f"{path} is no ticket: {error}; `metertwin site admit` writes one.", path=str(path)
        ) from error
    if ticket.version != TICKET_VERSION:
        raise TicketError(
            f"Ticket {path} has version {ticket.version}, this program reads version "
            f"{TICKET_VERSION}.",
            path=str(path),
        )
    if not (_URL.fullmatch(ticket.url) and _SEED.fullmatch(ticket.seed)):
        raise TicketError(
            f"Ticket {path} is damaged: it has no nats-leaf://HOST:PORT, or no seed; ask the cloud "
            "for it again.",
            path=str(path),
        )
    return ticket


def save_ticket(path: Path, ticket: Ticket) -> None:
    """Write a ticket, whole or not at all, mode 0600.

    Raises:
        TicketError: It cannot be written.
    """
    try:
        save_private(path, msgspec.json.format(msgspec.json.encode(ticket), indent=2))
    except OSError as error:
        raise TicketError(f"Ticket {path} cannot be written: {error.strerror}.") from error
