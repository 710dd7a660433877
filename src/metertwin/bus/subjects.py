"""Names on the bus: `mt.<group>.<kind>.<meter>`.

Where a group is hosted is the bus's business: the host subscribes, callers never know where.
The meter token `_` addresses the group as a whole: a gateway's poll round, a list of its twins.
`_3` addresses the third share of a group that is cut into shares.
"""

from enum import StrEnum

from metertwin.core.ids import GroupId, MeterId, SiteId

ROOT = "mt"
WHOLE_GROUP = "_"
FLEET = "fleet"  # in the place of a group: between the fleet and the hosts
READING_STREAM = "READINGS"
EVENT_STREAM = "EVENTS"
COMMAND_STREAM = "COMMANDS"
OWNERS_BUCKET = "owners"  # who hosts and who reads a group; the key's revision is the epoch
DESIRED_BUCKET = "desired"  # desired state of each twin, key <group>.<meter>
CHECKPOINT_BUCKET = "checkpoints"  # state of gateways and twin hosts, as of a stream sequence
FLEET_BUCKET = "fleet"  # what the fleet shall be, who brings it about, and how far it is


class Kind(StrEnum):
    """What a message is about."""

    READING = "reading"  # gateway -> twin host, recorder (READINGS)
    EVENT = "event"  # gateway, twin host -> recorder, API (EVENTS)
    COMMAND = "command"  # twin host -> gateway (COMMANDS)
    OUTCOME = "outcome"  # gateway, twin host -> twin host, recorder, API (COMMANDS)
    REQUEST = "request"  # API, any client -> twin host, with a reply
    READ = "read"  # twin host -> gateway: read through to the meter, with a reply
    HISTORY = "history"  # API, twin host -> recorder, with a reply
    STATE = "state"  # twin host -> API: what changed, live, not kept
    OUTPUT = "output"  # apps
    # API, any client -> the cloud's stand-in for a host that cannot be reached; stays in its site
    LAST_KNOWN = "last_known"


def subject(group: GroupId, kind: Kind, meter: MeterId | str = WHOLE_GROUP) -> str:
    """Return the subject of one meter's or, by default, the whole group's messages."""
    return f"{ROOT}.{group}.{kind}.{meter}"


def of_share(share: int) -> str:
    """Return the meter token that addresses a share of a group; 0 is the whole group."""
    return f"{WHOLE_GROUP}{share}" if share else WHOLE_GROUP


def is_meter(token: str) -> bool:
    """Whether a meter token addresses one meter, and not a group or a share."""
    return not token.startswith(WHOLE_GROUP)


def of_host(site: SiteId | str, host: str) -> str:
    """Return the subject at which the fleet speaks to one twin host."""
    return f"{ROOT}.{FLEET}.{site}.{host}"


def all_groups(kind: Kind) -> str:
    """Return the wildcard for one kind of message of every group and meter."""
    return f"{ROOT}.*.{kind}.*"


def of_group(group: GroupId, kind: Kind) -> str:
    """Return the wildcard for one kind of message of every meter of a group."""
    return f"{ROOT}.{group}.{kind}.*"
