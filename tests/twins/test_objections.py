"""Apps say that another image had better wait; what they say is checked, and never stops them."""

import pytest
from tests.twins.hosting import Site

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask, serve
from metertwin.bus.subjects import of_host
from metertwin.core.command import CommandKind
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import SiteId
from metertwin.twins.apps.objections import Objection, Objections
from metertwin.twins.control import HostControl
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import AppGrant

pytestmark = pytest.mark.usefixtures("counting_app")


def counting(said: object) -> tuple[AppGrant, ...]:
    return (AppGrant("counting", grants=(CommandKind.DISCONNECT,), config={"not_now": said}),)


async def asked(site: Site, host: TwinHost, group: str | None = None) -> Objections:
    """Ask as a rollout does, over the bus."""
    bus: Bus = await site.connect(Role.TWIN_HOST)
    to = of_host(SiteId("here"), f"host-of-{site.group}")
    service = await serve(bus, to, "host", HostControl("host-1", [host]).handlers())
    try:
        fleet = await site.connect(Role.FLEET)
        request = Request("objections", {"group": group or site.group})
        return await ask(fleet, to, request, 5.0, Objections)
    finally:
        await service.stop()


async def standing(site: Site) -> str:
    facts = await site.ask("host", "_", dict)
    return str(facts["apps"][0]["standing"])


async def test_an_app_objects_until_it_is_done(site: Site) -> None:
    async with site.host(apps=counting(["counting a heavy hour", 90])) as (host, _):
        said = await asked(site, host)
        assert said == Objections((Objection("counting", "counting a heavy hour", 90.0),))
        await site.ask("set_count_limit", "_", dict, {"limit_wh": 7})
        assert await asked(site, host) == Objections()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("break", "App counting broke in not_now: ZeroDivisionError: an app's bug"),
        ("later", "it returned str, not a NotNow."),
        ([" ", 5], "its NotNow has no reason."),
        (["busy", 0], "its NotNow asks for 0 s, not a number above 0."),
        (["busy", float("nan")], "its NotNow asks for nan s, not a number above 0."),
        (["busy", float("inf")], "its NotNow asks for inf s, not a number above 0."),
        (["busy", "long"], "its NotNow asks for 'long' s, not a number above 0."),
    ],
    ids=str,
)
async def test_an_app_that_breaks_or_talks_nonsense_has_nothing_against_it(
    site: Site, said: object, fault: str
) -> None:
    async with site.host(apps=counting(said)) as (host, _):
        told = await asked(site, host)
        assert told.objections == ()
        (said_of_it,) = told.faults
        assert fault in said_of_it
        assert await standing(site) == "running"  # it was only asked


async def test_a_long_reason_is_cut_and_a_silent_app_has_none(site: Site) -> None:
    async with site.host(apps=counting(["busy " * 100, 5])) as (host, _):
        (objection,) = (await asked(site, host)).objections
        assert len(objection.reason) == 200
    async with site.host(apps=()) as (host, _):
        assert await asked(site, host) == Objections()
        with pytest.raises(NotFoundError, match="was never told of group 'elsewhere'"):
            await asked(site, host, "elsewhere")
