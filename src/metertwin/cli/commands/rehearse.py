"""`metertwin rehearse GROUP APP`: what an app would have done over a group's history."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop
import yaml
from rich.progress import Progress

from metertwin.apps.app import AppSettings, History
from metertwin.apps.catalogue import make_app
from metertwin.apps.rehearsal.difference import difference
from metertwin.apps.rehearsal.run import DEFAULT_STEP_S, Rehearsal
from metertwin.apps.rehearsal.run import rehearse as run_app
from metertwin.bus.credentials import Role
from metertwin.cli.options import DEFAULT_STATE, JsonOption, StateOption
from metertwin.cli.rehearsing.past import Span, fetch_history
from metertwin.cli.rehearsing.report import (
    plain_difference,
    plain_rehearsal,
    show_difference,
    show_rehearsal,
)
from metertwin.cli.roles.session import session
from metertwin.cli.show import print_json
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import GroupId
from metertwin.fleet.site import SiteSettings, load_site
from metertwin.fleet.state import StateDirectory
from metertwin.twins.settings import AppGrant


class RehearsalConfigError(InvalidInputError):
    """The file of another configuration cannot be used."""

    code = "input.rehearsal_config"


def rehearse(
    group: Annotated[str, typer.Argument(help="The group whose history is used.")],
    app: Annotated[str, typer.Argument(help="An app at work for the group.")],
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="Another configuration, YAML or JSON; shows what would be different."),
    ] = None,
    start: Annotated[
        datetime | None, typer.Option(help="First moment, UTC; else --days before the end.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days of the past, without --start.", min=1)] = 35,
    end: Annotated[datetime | None, typer.Option(help="Last moment, UTC; default now.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write JSON into this file instead.")] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Run an app over a group's recorded intervals; nothing it proposes is carried out."""
    here = StateDirectory(state)
    grant = _grant(load_site(here.site_file), group, app)
    other = None if config is None else _config_of(config)
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        stage = _Stage(progress)
        last = timedelta(days=days)
        history = uvloop.run(_history(here, grant, group, (start, end, last), stage))
        before = _run(grant, grant.config, group, history, stage)
        after = None if other is None else _run(grant, other, group, history, stage)
    told = None if after is None else difference(before, after)
    if out is not None:
        plain = plain_rehearsal(before) if told is None else plain_difference(told)
        out.write_bytes(msgspec.json.encode(plain))
    elif json:
        print_json(plain_rehearsal(before) if told is None else plain_difference(told))
    elif told is None:
        show_rehearsal(f"{app} over the history of {group}", before)
    else:
        show_difference(told)


@dataclass(slots=True)
class _Stage:
    """One bar that says what is being done."""

    progress: Progress
    _task: Any = None
    _doing: str = ""

    def say(self, doing: str, done_ratio: float) -> None:
        """Show how much of what is done, 0 to 1."""
        if doing != self._doing:
            self._doing = doing
            self._task = self.progress.add_task(doing, total=1.0)
        self.progress.update(self._task, completed=done_ratio)


def _grant(site: SiteSettings, group: str, app: str) -> AppGrant:
    groups = {each.id: each for each in site.with_apps(site.all_groups)}
    found = groups.get(GroupId(group))
    if found is None:
        raise NotFoundError(
            f"The site has no group {group!r}; it has {', '.join(groups)}.", group=group
        )
    for grant in found.apps:
        if grant.name == app:
            return grant
    has = ", ".join(grant.name for grant in found.apps) or "none"
    raise NotFoundError(f"No app {app!r} is at work for group {group}; there are {has}.", app=app)


def _config_of(path: Path) -> Mapping[str, object]:
    try:
        read = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RehearsalConfigError(f"Configuration {path} cannot be read: {error}.") from error
    if not isinstance(read, dict):
        raise RehearsalConfigError(
            f"Configuration {path} is no mapping of names to values; write what site.json has "
            "under the app's `config`."
        )
    return read


async def _history(
    here: StateDirectory,
    grant: AppGrant,
    group: str,
    between: tuple[datetime | None, datetime | None, timedelta],
    stage: _Stage,
) -> History:
    registers = make_app(grant.name, grant.version, _settings(grant, grant.config, group)).info
    async with session(here, Role.CLIENT) as connected:
        end = _hour(between[1] or connected.clock.now())
        start = _hour(between[0] or end - between[2])
        if start >= end:
            raise RehearsalConfigError(
                f"The rehearsal ends at {end.isoformat()}, not after its start {start.isoformat()}."
            )
        span = Span(start, end)
        return await fetch_history(
            connected.bus, GroupId(group), registers.registers, span, stage.say
        )


def _hour(moment: datetime) -> datetime:
    """Return the full hour at or before a moment; without a zone it is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _settings(grant: AppGrant, config: Mapping[str, object], group: str) -> AppSettings:
    return AppSettings(GroupId(group), config, grant.seed)


def _run(
    grant: AppGrant, config: Mapping[str, object], group: str, history: History, stage: _Stage
) -> Rehearsal:
    settings = _settings(grant, config, group)
    app = make_app(grant.name, grant.version, settings)
    doing = "rehearsing" if config is grant.config else "rehearsing the other configuration"
    said = Rehearsal()
    first = next(iter(history.values()))
    period_s = first.register.period_s
    step_s = -(-DEFAULT_STEP_S // period_s) * period_s
    for reached_us, so_far in run_app(app, settings, history, step_s=step_s):
        said = so_far
        stage.say(doing, (reached_us - first.start_us) / (first.end_us - first.start_us))
    return said
