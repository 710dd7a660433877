"""Where a site's server stands: alone, as the hub in the cloud, or as a leaf at the edge.

Each site keeps the streams and buckets of its own groups in a JetStream domain of its own, named
after the site. An edge dials the hub; over that link live messages of its groups pass both ways,
and whoever hosts one of its groups elsewhere reaches the edge's streams and buckets through the
domain. The hub sources the edge's streams, so the cloud has a history of everything. When the link
is cut, nothing an edge needs is on the other side.
"""

from dataclasses import dataclass
from pathlib import Path

from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId, SiteId

ALONE_DOMAIN = ""
LOOPBACK = "127.0.0.1"


class PlaceError(InvalidInputError):
    """A site's place among the others cannot be so."""

    code = "bus.place"


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge as the hub knows it.

    Attributes:
        site: The edge, also the name of its domain.
        groups: The groups whose meters hang there.
    """

    site: SiteId
    groups: tuple[GroupId, ...]


@dataclass(frozen=True, slots=True)
class Uplink:
    """The hub as an edge knows it.

    Attributes:
        url: nats-leaf://host:port; the host is one of the hub's `leaf_names`.
        seed: The edge's own seed, made at the hub.
        certificate: The hub's, made there as well.
    """

    url: str
    seed: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class BusPlace:
    """A server's place.

    Attributes:
        domain: Name of the site; empty where there is one site only.
        own_groups: Groups whose meters hang at this site; needed at a hub, where the streams must
            not take what belongs to an edge.
        leaf_port: At a hub: where edges connect.
        leaf_host: At a hub: the address on which that port listens.
        edges: At a hub: who may connect.
        leaf_names: At a hub: hosts by which edges reach it; its certificate is for these.
        uplink: At an edge: where to.
    """

    domain: str = ALONE_DOMAIN
    own_groups: tuple[GroupId, ...] = ()
    leaf_port: int | None = None
    edges: tuple[Edge, ...] = ()
    uplink: Uplink | None = None
    leaf_names: tuple[str, ...] = (LOOPBACK,)
    leaf_host: str = LOOPBACK

    @property
    def is_hub(self) -> bool:
        """Whether edges connect here."""
        return self.leaf_port is not None

    def check(self) -> None:
        """Raise PlaceError naming all that cannot be so."""
        problems = []
        if (self.is_hub or self.uplink) and not self.domain:
            problems.append("a site among others needs a domain, its own name")
        if self.is_hub and self.uplink:
            problems.append("a site is hub or edge, not both")
        if self.edges and not self.is_hub:
            problems.append("edges need a leaf port to connect to")
        names = [self.domain, *(edge.site for edge in self.edges)]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"{', '.join(doubled)} names two sites")
        groups = [*self.own_groups, *(group for edge in self.edges for group in edge.groups)]
        if doubled := sorted({group for group in groups if groups.count(group) > 1}):
            problems.append(f"group {', '.join(doubled)} is at home in two sites")
        if problems:
            raise PlaceError(f"Site {self.domain or '(without a name)'}: {'; '.join(problems)}.")


def host_and_port(host: str, port: int) -> str:
    """Return both as they stand in a URL or an address to listen on.

    Example:
        >>> host_and_port("cloud.example", 7422), host_and_port("::", 7422)
        ('cloud.example:7422', '[::]:7422')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def leaf_seed_name(site: SiteId) -> str:
    """Return the name of the seed with which an edge connects to the hub."""
    return f"leaf-{site}"
