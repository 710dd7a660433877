"""What people order by hand while a controller keeps the fleet as a file wants it."""

from metertwin.bus.connection import Bus
from metertwin.core.errors import ConflictError
from metertwin.fleet.control.store import FleetStore
from metertwin.fleet.lease import LEASE_KEY, living_holder


class LedByControllerError(ConflictError):
    """A controller would undo it."""

    code = "conflict.led_by_controller"


async def check_no_controller(bus: Bus) -> None:
    """Return if nobody would take back what is rolled out by hand.

    Args:
        bus: A connection of the fleet role to the cloud's bus.

    Raises:
        LedByControllerError: A controller acts, and a fleet file was applied.
        UnavailableError: The bus does not answer.
    """
    applied = await FleetStore(bus).applied()
    if applied is None:
        return
    leader = await living_holder(bus, LEASE_KEY)
    if leader:
        raise LedByControllerError(
            f"Controller {leader} keeps the fleet as revision {applied.revision} "
            f"({applied.desired.where}) wants it, and would take this back; write the image into "
            "the file and `metertwin apply` it, or end the controller.",
            controller=leader,
        )
