"""The roles of a site, each a part of its own."""

BUS, SIMULATE, LINK = "bus", "simulate", "link"
FLEET, RECORDER, TWIN_HOST, GATEWAY, API = "fleet", "recorder", "twin-host", "gateway", "api"


def roles_of(*, has_groups: bool, is_cloud: bool) -> tuple[str, ...]:
    """Return the roles a site has, in the order in which its parts need each other.

    Args:
        has_groups: Whether meters are read at the site.
        is_cloud: Whether edges connect to it.

    Example:
        >>> roles_of(has_groups=True, is_cloud=False)
        ('bus', 'recorder', 'twin-host', 'gateway', 'api')
    """
    fleet = (FLEET,) if is_cloud else ()
    gateway = (GATEWAY,) if has_groups else ()
    return (BUS, *fleet, RECORDER, TWIN_HOST, *gateway, API)
