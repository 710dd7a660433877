"""The demonstration from start to account."""

import asyncio
import contextlib
import math
import signal
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.subjects import Kind
from metertwin.cli.demo.incidents import Incidents
from metertwin.cli.demo.plan import DemoOptions, fresh_state, site_of
from metertwin.cli.demo.probe import GroupFacts, Probe, Tally
from metertwin.cli.demo.quiet import log_to
from metertwin.cli.demo.report import is_balanced, readings_of, versions, write_report
from metertwin.cli.demo.screen import ROWS_COUNT, greet, picture
from metertwin.core.errors import DeadlineError, MeterTwinError
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import WORLD, LocalSite, raise_if_hopeless
from metertwin.fleet.local.sites import CLOUD, LocalSites
from metertwin.fleet.site import site_clock
from metertwin.fleet.state import StateDirectory

Sites = LocalSite | LocalSites

_IN_STEP_BASE_S, _IN_STEP_PER_METER_S = 60.0, 0.05
_DRAIN_WITHIN_S = 30.0
_POLL_S = 0.1
_REFRESH_S = 1.0
_ASKED_PER_S = 50.0
_LOOK_EVERY_S = 2.0


@dataclass(slots=True)
class Demo:
    """One run of the demonstration."""

    options: DemoOptions
    console: Console
    is_headless: bool
    restarts_count: int = 0

    async def run(self, report_file: Path | None) -> bool:
        """Run it; return whether the ledger balances at the end.

        Raises:
            MeterTwinError: Why it could not start, or not get in step.
        """
        self.options.check()
        began_s = time.monotonic()
        state = fresh_state(self.options.state)
        containers = await Containers.open(
            self.options.runtime, state.root, image=self.options.image
        )
        self._say(containers.reason)
        site = self._site(state, containers)
        log_to(state.logs / "demo.log")
        stop = _stop_on_signals()
        try:
            await containers.clear()  # what an earlier run left in an engine
            await site.start()
            report = await self._follow(site, state, began_s, stop)
        finally:
            self._say("ending")
            await containers.clear((WORLD, *self._network_names()))
            await containers.close()
        if report is None:
            return True  # ended before every twin was in step, by wish
        if report_file is not None:
            write_report(report_file, report)
        return self._conclude(report)

    def _site(self, state: StateDirectory, containers: Containers) -> Sites:
        settings = site_of(self.options)
        if not self.options.edges:
            return LocalSite(state, settings, containers, self._say)
        return LocalSites(state, settings, containers, self._say, self.options.edges)

    def _network_names(self) -> tuple[str, ...]:
        return (CLOUD, *self.options.edges) if self.options.edges else ("site",)

    async def _follow(
        self,
        site: Sites,
        state: StateDirectory,
        began_s: float,
        stop: asyncio.Event,
    ) -> dict[str, Any] | None:
        seed = seed_path(state.bus_seeds, Role.CLIENT)
        bus = await connect(site.settings.bus_url, seed, "demo")
        probe = Probe(bus, site_clock(site.settings), site.settings.all_groups)
        try:
            facts = await self._until_in_step(probe, site, stop)
            if facts is None:
                return None
            in_step_s = time.monotonic() - began_s
            self._say(f"{facts.in_step} twins in step after {in_step_s:.1f} s")
            url = f"http://{site.settings.api_host}:{site.settings.api_port}"
            meter = probe.groups[0].meters[0]
            greet(self.console, url, meter, str(self.options.state))
            shown = await self._watch(probe, site, stop)
            self._say("stopping the gateway and letting everything arrive")
            await site.stop_gateways()
            twins, recorder = await _drained(probe)
            readings = readings_of(twins, recorder)
            statuses = (await site.containers.statuses()).values()
            self.restarts_count = sum(each.restart_count for each in statuses)
            return self._report(probe, facts, in_step_s, readings) | shown
        finally:
            await bus.close()

    async def _until_in_step(
        self, probe: Probe, site: Sites, stop: asyncio.Event
    ) -> GroupFacts | None:
        within_s = _IN_STEP_BASE_S + _IN_STEP_PER_METER_S * self.options.meters_count
        give_up_s, said = time.monotonic() + within_s, -1
        looked_s = time.monotonic()
        while not stop.is_set():
            if time.monotonic() > looked_s + _LOOK_EVERY_S:
                looked_s = time.monotonic()
                await raise_if_hopeless(site.containers)
            facts = await probe.in_step()
            if facts.in_step != said:
                self._say(f"{facts.in_step} of {facts.twins} twins in step")
                said = facts.in_step
            if facts.in_step >= facts.twins > 0:
                return facts
            if time.monotonic() > give_up_s:
                raise DeadlineError(
                    f"Only {facts.in_step} of {facts.twins} twins were in step after "
                    f"{within_s:.0f} s; the parts wrote why, see `metertwin logs`.",
                )
            await asyncio.sleep(_POLL_S)
        return None

    async def _watch(self, probe: Probe, site: Sites, stop: asyncio.Event) -> dict[str, Any]:
        """Show it until the end, and return what was played meanwhile."""
        playing: asyncio.Task[dict[str, Any]] | None = None
        if isinstance(site, LocalSites) and self.options.for_s is not None:
            incidents = Incidents(site, probe, self._say, self.options.for_s)
            playing = asyncio.create_task(incidents.play(), name="incidents")
        try:
            await self._show(probe, stop)
            return {} if playing is None or stop.is_set() else await playing
        finally:
            if playing is not None:
                playing.cancel()

    async def _show(self, probe: Probe, stop: asyncio.Event) -> None:
        asking = asyncio.create_task(probe.ask_at_rate(_ASKED_PER_S))
        end_s = math.inf if self.options.for_s is None else time.monotonic() + self.options.for_s
        live = Live(console=self.console, auto_refresh=False)
        try:
            with contextlib.nullcontext() if self.is_headless else live:
                while not stop.is_set() and time.monotonic() < end_s:
                    if not self.is_headless:
                        await self._draw(probe, live)
                    with contextlib.suppress(TimeoutError):
                        left_s = end_s - time.monotonic()
                        await asyncio.wait_for(stop.wait(), max(min(_REFRESH_S, left_s), 0.01))
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    async def _draw(self, probe: Probe, live: Live) -> None:
        try:
            twins = await probe.page(ROWS_COUNT)
            applied, stored = await probe.tally(Kind.REQUEST), await probe.tally(Kind.HISTORY)
        except MeterTwinError as error:
            live.console.print(f"[yellow]{error}[/]")
            return
        latency = probe.percentiles_ms()
        line = (
            f"requests p50 {latency['p50']} ms  p95 {latency['p95']} ms  p99 {latency['p99']} ms"
            f"   x{self.options.speed_ratio:g}   Ctrl-C ends"
        )
        now = probe.clock.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        live.update(picture(twins, now, applied, stored, line), refresh=True)

    def _report(
        self, probe: Probe, facts: GroupFacts, in_step_s: float, readings: dict[str, int]
    ) -> dict[str, Any]:
        return {
            "meters": self.options.meters_count,
            "twins": facts.twins,  # the feeders' transformers have meters as well
            "speed": self.options.speed_ratio,
            "ended_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "in_step_s": round(in_step_s, 2),
            "readings": readings,
            "request_ms": probe.percentiles_ms(),
            "requests": {
                "timed": len(probe.latencies_ms),
                "failed": probe.failed_count,
                "cut_off": probe.cut_off_count,  # asked from the cloud while a link was cut
            },
            "twin_bytes": round(facts.bytes_per_twin),
            "restarts": self.restarts_count,
            "versions": versions(),
        }

    def _conclude(self, report: dict[str, Any]) -> bool:
        readings = report["readings"]
        is_good = is_balanced(readings)
        mark = "[green]balanced[/]" if is_good else "[bold red]NOT balanced[/]"
        words = "  ".join(f"{name} {count:,}" for name, count in readings.items())
        self.console.print(f"Ledger {mark}: {words}")
        counts = report["requests"]
        times = [f"{name} {time_ms} ms" for name, time_ms in report["request_ms"].items()]
        across = f", {counts['cut_off']} more across a cut link" if counts["cut_off"] else ""
        told = f"{counts['failed']} of {counts['timed']} failed{across}; {', '.join(times)}"
        self.console.print(f"Requests: {told}")
        return is_good

    def _say(self, what: str) -> None:
        self.console.print(f"[dim]{what}[/]", highlight=False)


async def _drained(probe: Probe) -> tuple[Tally, Tally]:
    """Return both ledgers once they agree, or as they are when they do not in time."""
    give_up_s = time.monotonic() + _DRAIN_WITHIN_S
    while True:
        twins, recorder = await probe.tally(Kind.REQUEST), await probe.tally(Kind.HISTORY)
        if is_balanced(readings_of(twins, recorder)) or time.monotonic() > give_up_s:
            return twins, recorder
        await asyncio.sleep(_POLL_S)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop
