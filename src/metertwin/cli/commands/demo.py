"""`metertwin demo`: a street of meters, their twins, history and API, on this machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from metertwin.cli.demo.plan import HOUSEHOLD_TARIFF, DemoOptions
from metertwin.cli.demo.run import Demo
from metertwin.cli.options import DEFAULT_STATE
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.process.images import OWN_REFERENCE

EXIT_NOT_BALANCED = 1


def demo(
    *,
    meters: Annotated[int, typer.Option(help="Meters on the feeders.")] = 100,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 60.0,
    for_: Annotated[
        float | None, typer.Option("--for", help="Seconds to run once in step; else until Ctrl-C.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the account here, as JSON.")] = None,
    port: Annotated[int, typer.Option(help="Port of the API on this machine.")] = 8470,
    security: Annotated[str, typer.Option(help="Of the meters: none, low, high.")] = "high",
    scenario: Annotated[Path | None, typer.Option(help="Scenario file: theft, outage, ...")] = None,
    seed: Annotated[int, typer.Option(help="Of the street's randomness.")] = 1,
    tariff: Annotated[Path, typer.Option(help="Tariff of all households.")] = HOUSEHOLD_TARIFF,
    past: Annotated[
        int | None, typer.Option(help="Days of load profile the meters have; else as many as suit.")
    ] = None,
    edge: Annotated[
        int, typer.Option(help="Edge sites beside a cloud; with --for, a cut and a move are shown.")
    ] = 0,
    twins_per_container: Annotated[
        int, typer.Option(help="Most twins in one container; 0 for all of a site's.", min=0)
    ] = 0,
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="What the parts run in: process, docker, or auto.")
    ] = RuntimeChoice.PROCESS,
    image: Annotated[str, typer.Option(help="What the parts run from.")] = OWN_REFERENCE,
    state: Annotated[Path, typer.Option(help="State directory, cleared first.")] = DEFAULT_STATE,
    headless: Annotated[bool, typer.Option(help="Plain lines, no live table.")] = False,
) -> None:
    """Start everything, wait until every twin is in step, show it, and end everything."""
    options = DemoOptions(
        meters_count=meters,
        speed_ratio=speed,
        for_s=for_,
        api_port=port,
        security=security,
        scenario=scenario,
        state=state,
        seed=seed,
        past_days=past,
        tariff=tariff,
        edges_count=edge,
        twins_per_container=twins_per_container,
        runtime=runtime,
        image=image,
    )
    console = Console(stderr=headless)
    is_headless = headless or not console.is_terminal
    if not uvloop.run(Demo(options, console, is_headless).run(report)):
        sys.exit(EXIT_NOT_BALANCED)
