"""`metertwin site`: sites of real meters, each on its machine, and the cloud they join."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from metertwin.cli.client import ApiClient
from metertwin.cli.fleet_view import to_stderr
from metertwin.cli.options import JsonOption
from metertwin.cli.show import print_json
from metertwin.cli.tariff_grant import tariff_grant
from metertwin.core.errors import DeadlineError, MeterTwinError
from metertwin.core.ids import site_id
from metertwin.fleet.local.containers import EVERYWHERE
from metertwin.fleet.local.founding import SitePlan, found_site, relist_meters
from metertwin.fleet.local.joining import (
    CloudPlan,
    admit_edge,
    found_cloud,
    join_cloud,
    load_ticket,
    save_ticket,
)
from metertwin.fleet.local.lasting import bring_down, check_ended, lasting_site, was_started
from metertwin.fleet.local.launch import LocalSite, raise_if_hopeless
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory

_UP_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.5

site = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

# Without a default: what other commands take when nothing is said is the demonstration.
PlaceOption = Annotated[
    Path,
    typer.Option("--state", envvar="METERTWIN_STATE", help="State directory of the site."),
]

TariffsOption = Annotated[
    list[Path] | None, typer.Option(help="A tariff to bill by; the first is the usual one.")
]
ApiPortOption = Annotated[int, typer.Option(help="Port of the API on this machine.")]
BusPortOption = Annotated[int, typer.Option(help="Port of the bus on this machine.")]


@site.command()
def init(
    meters: Annotated[Path, typer.Argument(help="The meters, as docs/configuration.md says.")],
    *,
    state: PlaceOption,
    name: Annotated[str, typer.Option(help="The site's name.")] = "site",
    poll: Annotated[float, typer.Option(help="Seconds between two reads of a meter.")] = 300.0,
    tariff: TariffsOption = None,
    twins_per_container: Annotated[
        int, typer.Option(help="Most twins in one container; 0 for all of a group.")
    ] = 0,
    port: ApiPortOption = 8470,
    bus_port: BusPortOption = 4222,
    json: JsonOption = False,
) -> None:
    """Check the list of meters and write the site's settings; nothing is started or read yet."""
    plan = SitePlan(
        site=site_id(name),
        poll_s=poll,
        bus_port=bus_port,
        api_port=port,
        twins_per_container=twins_per_container,
        apps=(tariff_grant(tariff),) if tariff else (),
    )
    settings = found_site(StateDirectory(state), meters, plan)
    groups = {str(group.id): len(group.meters) for group in settings.groups}
    if json:
        print_json({"site": settings.site, "state": str(state), "groups": groups})
    else:
        told = ", ".join(f"{group} with {count:,}" for group, count in groups.items())
        typer.echo(
            f"Site {settings.site} in {state}: {sum(groups.values()):,} meters, {told}. "
            f"Start it with `metertwin site start --state {state}`."
        )


@site.command()
def start(
    *,
    state: PlaceOption,
    runtime: Annotated[
        RuntimeChoice | None,
        typer.Option(help="What its parts run in; else what they ran in last, or auto."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="What they run from; else as last, or this version's.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Start what of a site does not run, and wait until it answers; it goes on by itself then."""
    _show_up(uvloop.run(_start(StateDirectory(state), runtime, image)), as_json=json)


@site.command()
def stop(*, state: PlaceOption, json: JsonOption = False) -> None:
    """End all parts of a site; readings, twins' states and history stay in its directory."""
    ended = uvloop.run(_stop(StateDirectory(state)))
    if json:
        print_json({"state": str(state), "ended": ended})
    else:
        typer.echo(f"Ended {', '.join(ended)}." if ended else "Nothing of it ran.")


@site.command()
def meters(
    file: Annotated[Path, typer.Argument(help="All meters, as docs/configuration.md says.")],
    *,
    state: PlaceOption,
    json: JsonOption = False,
) -> None:
    """Give a site another list of its meters, from its next start on; no twin is lost."""
    change = relist_meters(StateDirectory(state), file)
    if json:
        print_json(change)
        return
    new, gone = ", ".join(change.new) or "none", ", ".join(change.gone) or "none"
    typer.echo(
        f"New: {new}. No longer read: {gone}. It takes effect with `metertwin site stop` and "
        "`metertwin site start`."
    )


@site.command()
def cloud(
    reached_by: Annotated[
        list[str], typer.Argument(help="Names or addresses by which edges find this machine.")
    ],
    *,
    state: PlaceOption,
    name: Annotated[str, typer.Option(help="The cloud's name.")] = "cloud",
    tariff: TariffsOption = None,
    edge_port: Annotated[int, typer.Option(help="Port that edges connect to.")] = 7422,
    listen: Annotated[str, typer.Option(help="Address to listen on for them.")] = EVERYWHERE,
    port: ApiPortOption = 8470,
    bus_port: BusPortOption = 4222,
    json: JsonOption = False,
) -> None:
    """Write the settings of a cloud: edges on other machines join it, groups can move to it."""
    plan = CloudPlan(
        site=site_id(name),
        reached_by=tuple(reached_by),
        leaf_port=edge_port,
        leaf_host=listen,
        bus_port=bus_port,
        api_port=port,
        apps=(tariff_grant(tariff),) if tariff else (),
    )
    settings = found_cloud(StateDirectory(state), plan)
    if json:
        print_json({"site": settings.site, "state": str(state)})
    else:
        typer.echo(
            f"Cloud {settings.site} in {state}; let edges in with `metertwin site admit "
            f"EDGE/site.json --ticket FILE --state {state}`."
        )


@site.command()
def admit(
    edge: Annotated[Path, typer.Argument(help="The edge's site.json; no secret is in it.")],
    *,
    ticket: Annotated[Path, typer.Option(help="Where to write what lets the edge in.")],
    state: PlaceOption,
    json: JsonOption = False,
) -> None:
    """Let an edge into this cloud, or take in what changed there; carry the ticket to it."""
    admitted = admit_edge(StateDirectory(state), load_site(edge))
    save_ticket(ticket, admitted)
    if json:
        print_json({"site": admitted.site, "cloud": admitted.cloud, "url": admitted.url})
    else:
        typer.echo(
            f"Site {admitted.site} is let in once this cloud is started anew. {ticket} is a key: "
            f"at the edge, `metertwin site join {ticket.name}`, then delete it."
        )


@site.command()
def join(
    ticket: Annotated[Path, typer.Argument(help="What the cloud's `site admit` wrote.")],
    *,
    state: PlaceOption,
    json: JsonOption = False,
) -> None:
    """Make this site an edge of the cloud that gave the ticket, from its next start on."""
    uvloop.run(_check_ended(StateDirectory(state)))
    joined = join_cloud(StateDirectory(state), load_ticket(ticket))
    assert joined.uplink is not None
    if json:
        print_json({"site": joined.site, "url": joined.uplink.url})
    else:
        typer.echo(
            f"Site {joined.site} is an edge of the cloud at {joined.uplink.url}; "
            f"`metertwin site start --state {state}`."
        )


def _show_up(report: dict[str, Any], *, as_json: bool) -> None:
    """Show the health report of a site that has just been started."""
    if as_json:
        print_json(report)
    else:
        typer.echo(f"Site {report['site']} is up; look at `metertwin twins`, `metertwin logs`.")


async def _start(
    state: StateDirectory, runtime: RuntimeChoice | None, image: str | None
) -> dict[str, Any]:
    say = to_stderr()
    async with lasting_site(state, say, runtime, image) as here:
        say(here.containers.reason)
        await here.start()
        say("waiting until all parts answer")
        return await _until_up(here)


async def _until_up(here: LocalSite) -> dict[str, Any]:
    end_s = time.monotonic() + _UP_WITHIN_S
    while True:
        report, silence = await asyncio.to_thread(_health, here)
        if report is not None and not silence:
            return report
        await raise_if_hopeless(here.containers)
        if time.monotonic() > end_s:
            raise DeadlineError(
                f"Not all of the site answers after {_UP_WITHIN_S:g} s: {silence} The parts go on "
                "trying; see `metertwin logs`."
            )
        await asyncio.sleep(_LOOK_EVERY_S)


def _health(here: LocalSite) -> tuple[dict[str, Any] | None, str]:
    """Return what the API says of all parts, and what is wrong with the site's own in a sentence.

    What is wrong at an edge is its own affair: it may not have been started yet.
    """
    try:
        with ApiClient(here.state.root) as api:
            report = api.health()
    except MeterTwinError as error:
        return None, str(error)
    edges = {f" of {group.id}" for edge in here.settings.edges for group in edge.groups}
    down = [
        f"{part['part']}: {part['reason']}"
        for part in report["parts"]
        if not part["is_up"] and not part["part"].endswith(tuple(edges))
    ]
    return report, " ".join(down)


async def _stop(state: StateDirectory) -> list[str]:
    if not was_started(state):
        return []
    async with lasting_site(state, to_stderr()) as here:
        return await bring_down(here)


async def _check_ended(state: StateDirectory) -> None:
    if not was_started(state):
        return
    async with lasting_site(state, to_stderr()) as here:
        await check_ended(here)
