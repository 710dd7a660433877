"""A part that owns no group, started anew within other limits, watched, and put back if need be.

What such a part holds lies in streams, buckets and files, and it goes on from there; so it is
ended and started. What pauses meanwhile, and why nothing is lost, stands in docs/fleet.md.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx
import msgspec

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.ending import end_if_told
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import OWNERS_BUCKET, Kind, subject
from metertwin.core.errors import DeadlineError, MeterTwinError, UnavailableError
from metertwin.fleet.control.reach import Reach
from metertwin.fleet.control.steps import StartAnew
from metertwin.fleet.local.containers import PartError
from metertwin.fleet.local.endings import why_ended
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.roles import API, BUS, GATEWAY, RECORDER
from metertwin.fleet.runtimes.errors import ContainerStartError
from metertwin.fleet.runtimes.port import Health, Phase
from metertwin.fleet.runtimes.spec import Limits

_UP_WITHIN_S = 60.0
_ASK_WITHIN_S = 2.0
_LOOK_S = 0.25
_STEADY_S = 3.0  # of a part that nobody can ask: longer than a role takes to start, or to fail
_SILENT_MOST_COUNT = 3


class _Told(msgspec.Struct, frozen=True):
    host: str


async def start_anew(reach: Reach, step: StartAnew, watch_s: float) -> str:
    """Start a part within its new limits; return why it was put back, nothing when it works.

    Args:
        reach: The fleet.
        step: What is to be done; a part that is as it says already is only looked at.
        watch_s: How long it is watched once it answers, in s.

    Raises:
        UnavailableError: It does not come up, and what it may use before is not known or does not
            help either; it can be tried again.
    """
    site, reason = reach.local(step.site), ""
    try:
        await _Part(site, step.role).bring_up(step.limits, watch_s)
    except (PartError, ContainerStartError) as error:
        if step.before is None:
            raise
        reason = str(error)
        reach.say(f"going back: {reason}")
        await _Part(site, step.role).bring_up(step.before, 0.0)
    # For whoever goes on after the cloud's own bus was started anew.
    await asyncio.wait_for(reach.cloud.wait_connected(), _UP_WITHIN_S)
    return reason


@dataclass(frozen=True, slots=True)
class _Part:
    site: LocalSite
    role: str

    async def bring_up(self, limits: Limits, watch_s: float) -> None:
        """Start it, wait until it answers, and watch it.

        Raises:
            PartError: It ended, hangs, or does not answer.
            ContainerStartError: The runtime cannot start it so.
        """
        await self.site.start_role(self.role, limits=limits)
        give_up_s = time.monotonic() + _UP_WITHIN_S
        while silence := await self._silence():
            if time.monotonic() > give_up_s:
                raise PartError(
                    f"{self._name} does not answer {_UP_WITHIN_S:g} s after its start: {silence}"
                )
        end_s, silent_count = time.monotonic() + self._watch_s(watch_s), 0
        while time.monotonic() < end_s:
            silence = await self._silence()
            silent_count = silent_count + 1 if silence else 0
            if silent_count >= _SILENT_MOST_COUNT:
                raise PartError(f"{self._name} does not answer any more: {silence}")

    def _watch_s(self, watch_s: float) -> float:
        is_asked = self.role in {API, BUS, GATEWAY, RECORDER}
        return watch_s if is_asked else max(watch_s, _STEADY_S)

    @property
    def _name(self) -> str:
        return self.site.part(self.role)

    async def _silence(self) -> str:
        """Return why it does not answer, after a pause; raise PartError if it never will."""
        end_if_told()
        await asyncio.sleep(_LOOK_S)
        containers = self.site.containers
        status = await containers.status(self._name)
        if status.phase is not Phase.RUNNING or status.restart_count:
            why = await why_ended(containers, self._name, status)
            raise PartError(f"{self._name} ended: {why}")
        if status.health is Health.UNHEALTHY:
            raise PartError(f"{self._name} hangs: its health check fails.")
        try:
            await self._ask()
        except MeterTwinError as error:
            return str(error)
        return ""

    async def _ask(self) -> None:
        """Ask it what only it can answer.

        Raises:
            MeterTwinError: There is no answer, or somebody else's.
        """
        settings = self.site.settings
        if self.role == API:
            await _ask_api(settings.api_host, settings.api_port)
            return
        seed = seed_path(self.site.state.bus_seeds, Role.FLEET)
        name = f"{settings.site}-controller-asks"
        bus = await connect(settings.bus_url, seed, name, _ASK_WITHIN_S)
        try:
            if self.role == BUS:
                with bucket_at_hand("asking the bus for its streams"):
                    await bus.js.key_value(OWNERS_BUCKET)
            if self.role == GATEWAY:
                for group in settings.groups:
                    await self._ask_of(bus, subject(group.id, Kind.READ))
            if self.role == RECORDER:
                for group in settings.all_groups:
                    await self._ask_of(bus, subject(group.id, Kind.HISTORY))
        finally:
            await bus.close()

    async def _ask_of(self, bus: Bus, to: str) -> None:
        told = await ask(bus, to, Request("host"), _ASK_WITHIN_S, _Told)
        wanted = f"{self.site.settings.site}-{self.role}"
        if told.host != wanted:
            raise UnavailableError(f"{told.host} answers at {to}, and not {wanted}.")


async def _ask_api(host: str, port: int) -> None:
    """Ask the API how the site is; that it answers is enough, whatever it says of others."""
    url = f"http://{host}:{port}/healthz"
    try:
        async with httpx.AsyncClient(timeout=_ASK_WITHIN_S) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        raise DeadlineError(f"{url} does not answer: {type(error).__name__}.") from error
