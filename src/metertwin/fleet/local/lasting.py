"""A site that outlives the program that starts it: brought up whole, brought down in order."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from metertwin.core.errors import ConflictError
from metertwin.fleet.local.containers import Containers, runtime_record
from metertwin.fleet.local.launch import LocalSite, Say
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.process.images import OWN_REFERENCE
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory


class RunsOtherwiseError(ConflictError):
    """The site runs in another runtime or from another image than asked for."""

    code = "conflict.runs_otherwise"


@contextlib.asynccontextmanager
async def lasting_site(
    state: StateDirectory, say: Say, runtime: RuntimeChoice | None = None, image: str | None = None
) -> AsyncIterator[LocalSite]:
    """Reach a site of this machine; its parts go on when this program ends.

    Args:
        state: Where it lives.
        say: Told each step, in a few words.
        runtime: What it shall run in; None for what it ran in last, else `auto`.
        image: What it shall run from; None for what it ran from last, else this version's.

    Raises:
        SiteMissingError: There is no site.
        RunsOtherwiseError: It runs already, in something else or from something else.
        EngineUnavailableError: The engine asked for does not answer.
        ImageMissingError: It does not have the image.
    """
    settings = load_site(state.site_file)
    containers = await _containers(state.root, runtime, image)
    try:
        yield LocalSite(state, settings, containers, say, settings.parts_name)
    finally:
        await containers.close()


def was_started(state: StateDirectory) -> bool:
    """Return whether a site ever ran here; raises SiteMissingError where there is none."""
    load_site(state.site_file)
    return runtime_record(state.root) is not None


async def bring_down(site: LocalSite) -> list[str]:
    """End a site's parts and forget them; return their names. What it knows stays on the disk."""
    parts = [name for name in await site.containers.statuses() if _is_of(site, name)]
    await site.containers.end_all(parts)
    await site.containers.remove_networks([site.name or "site"])
    return sorted(parts)


async def check_ended(site: LocalSite) -> None:
    """Raise RunsOtherwiseError if a part of the site runs: it would go on as it was set up."""
    running = sorted(part for part in await site.containers.running() if _is_of(site, part))
    if running:
        raise RunsOtherwiseError(
            f"The site in {site.state.root} runs ({', '.join(running)}); end it first with "
            "`metertwin site stop`.",
            path=str(site.state.root),
        )


def _is_of(site: LocalSite, part: str) -> bool:
    return not site.name or part.startswith(f"{site.name}-")


async def _containers(root: Path, runtime: RuntimeChoice | None, image: str | None) -> Containers:
    record = runtime_record(root)
    if record is None:
        choice = runtime or RuntimeChoice.AUTO
        return await Containers.open(choice, root, image=image or OWN_REFERENCE, is_tied=False)
    there = await Containers.of_running(root)
    choice = record.runtime if runtime in {None, RuntimeChoice.AUTO} else runtime
    wanted = (choice, image or record.image)
    if wanted == (record.runtime, record.image):
        return there
    running = await there.running()
    await there.close()
    if running:
        raise RunsOtherwiseError(
            f"The site in {root} runs in {record.runtime} from {record.image} "
            f"({', '.join(sorted(running))}); end it first with `metertwin site stop`.",
            path=str(root),
        )
    return await Containers.open(wanted[0], Path(record.root), image=wanted[1], is_tied=False)
