"""`metertwin simulate`: a street of meters to try a head-end on, with nothing else of MeterTwin."""

import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from metertwin.cli.roles.simulate import entry_of
from metertwin.cli.show import console, print_json, table
from metertwin.core.clock import Clock, ScaledClock, SystemClock
from metertwin.core.errors import UnavailableError
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import REGISTRY_VERSION
from metertwin.simulation.config import Framing, Security, SimulationConfig
from metertwin.simulation.serving import serve

_SHOWN = 20


class PortTakenError(UnavailableError):
    """The simulated meters cannot listen where they should."""

    code = "cli.port_taken"


def simulate(
    *,
    meters: Annotated[int, typer.Option(min=1, help="Households, each with a meter.")] = 10,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 4059,
    security: Annotated[Security, typer.Option(help="How clients prove themselves.")] = (
        Security.NONE
    ),
    framing: Annotated[Framing, typer.Option(help="How APDUs are framed.")] = Framing.WRAPPER,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    scenario: Annotated[Path | None, typer.Option(help="What goes wrong, and when.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed is the same street.")] = 1,
    profiles: Annotated[Path | None, typer.Option(help="File of measured profiles.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print all meters as a meters.json.")
    ] = False,
) -> None:
    """Serve simulated meters until Ctrl-C; print each one's address, client, password or keys."""
    config = SimulationConfig(
        meter_count=meters,
        port=port,
        security=security,
        framing=framing,
        scenario_file=scenario,
        seed=seed,
        profile_file=profiles,
    )
    uvloop.run(_serve(config, _clock(speed), as_json=json))


def _clock(speed_ratio: float) -> Clock:
    if speed_ratio == 1.0:
        return SystemClock()
    return ScaledClock(datetime.now(UTC), time.monotonic(), speed_ratio)


async def _serve(config: SimulationConfig, clock: Clock, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    try:
        simulation = await serve(config, clock)
    except OSError as error:
        raise PortTakenError(
            f"The meters cannot listen on {config.host}:{config.port}: {error.strerror}; stop what "
            "listens there, or give another --port, 0 for any.",
            port=config.port,
        ) from error
    try:
        entries = [entry_of(meter, config.zone.key, meter.host) for meter in simulation.meters]
        if as_json:
            print_json({"version": REGISTRY_VERSION, "meters": entries})
        else:
            _show(entries, config)
        running = asyncio.create_task(simulation.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            await running  # raises why it ended
        running.cancel()
    finally:
        await simulation.close()


def _show(entries: list[MeterEntry], config: SimulationConfig) -> None:
    first = entries[0]
    secrets: tuple[str, ...] = ()
    if config.security is Security.LOW:
        secrets = ("password",)
    elif config.security is Security.HIGH:
        secrets = ("encryption_key", "authentication_key")
    rows = (
        [entry.id, entry.group, str(entry.server_sap), *(_secret(entry, name) for name in secrets)]
        for entry in entries[:_SHOWN]
    )
    title = (
        f"{len(entries):,} meters at {first.host}:{first.port}, {config.framing.value}, security "
        f"{config.security.value}, client {first.client_sap}"
    )
    if first.system_title:
        title += f", client system title {first.system_title}"
    headings = ["meter", "group", "server", *(name.replace("_", " ") for name in secrets)]
    console.print(table(title, headings, rows))
    if len(entries) > _SHOWN:
        console.print(f"{len(entries) - _SHOWN:,} more; --json shows all.")
    console.print("Ctrl-C ends the simulation.")


def _secret(entry: MeterEntry, name: str) -> str:
    text = str(getattr(entry, name))
    # The registry keeps passwords in hexadecimal; people type them into a client as they are.
    return bytes.fromhex(text).decode("ascii") if name == "password" else text
