"""The tree of commands: which there are, and what each does.

A command's module is imported when the command runs, so that `metertwin --help` imports none.
"""

import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from metertwin import __version__

# Command, the module of metertwin.cli.commands that has it, and what it does.
COMMANDS = {
    "demo": ("demo", "Show it all on this machine: meters, twins, history, API."),
    "simulate": ("simulate", "Run a street of simulated meters that speak DLMS/COSEM."),
    "site": ("site", "Set up a site of real meters, start it, and end it."),
    "run": ("run", "Run one role of a site in the foreground."),
    "twins": ("twins", "List twins."),
    "twin": ("twin", "Show everything one twin says of itself."),
    "request": ("request", "Ask a twin, as fresh as you need it."),
    "bill": ("bill", "Bill a group's month: one file per meter and a summary."),
    "history": ("history", "Show or export a register's history."),
    "events": ("events", "List events of a meter, or follow those of all."),
    "outputs": ("outputs", "List what apps concluded about a meter or a group."),
    "rehearse": ("rehearse", "Run an app over a group's history, to see what would differ."),
    "watch": ("watch", "Watch twins live."),
    "desired": ("desired", "Say what is wanted of a meter."),
    "command": ("command", "Command a meter, and see both of its answers."),
    "migrate": ("migrate", "Move a group's twins between cloud and edge, live."),
    "rollout": ("rollout", "Try another image for twins; promoted or taken back by itself."),
    "apply": ("apply", "Bring about what a fleet file wants, and keep it so."),
    "status": ("status", "Show the fleet: what is wanted, what is, what is being done."),
    "diff": ("diff", "Show what differs between a fleet file and what runs."),
    "link": ("link", "Cut or restore an edge's link, to see what goes on without it."),
    "ledger": ("ledger", "Show that every reading arrived, once."),
    "calendar": ("calendar", "Write a tariff's calendar into a meter, or show the meter's."),
    "usage": ("usage", "Show, convert, bill and export usage files."),
    "tariff": ("tariff", "Check, show and import tariffs."),
    "image": ("image", "Build the container image of all roles, and show what is in it."),
    "logs": ("logs", "List the parts of a site on this machine, or show what one wrote."),
    "health": ("health", "Show which parts of the site are up."),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and imports a command only to run it."""

    def __init__(self, **attributes: object) -> None:
        placeholders = [TyperCommand(name, help=text) for name, (_, text) in COMMANDS.items()]
        super().__init__(**{**attributes, "commands": placeholders})  # type: ignore[arg-type]  # typer passes its own keywords through

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  its types are private to typer
        """Replace the placeholder of the command to run by the command."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name in COMMANDS else placeholder, rest


def _load(name: str) -> TyperCommand | TyperGroup:
    """Return a command; a module that has a Typer under its name is a group of commands."""
    module_name, text = COMMANDS[name]
    entry = getattr(import_module(f"metertwin.cli.commands.{module_name}"), module_name)
    _log_to_stderr()
    one = entry
    if not isinstance(entry, typer.Typer):
        one = typer.Typer(add_completion=False, rich_markup_mode="rich")
        one.command(name, help=text)(entry)
    command = get_command(one)
    assert isinstance(command, TyperCommand | TyperGroup)
    command.name, command.help = name, text
    return command


def _log_to_stderr() -> None:
    """Keep what is logged meanwhile, a lost bus for example, out of a command's answer."""
    if "structlog" in sys.modules:  # loaded by the command, or needed by nothing in it
        structlog = import_module("structlog")
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


app = typer.Typer(
    name="metertwin",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(*, is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"metertwin {__version__}")
        raise typer.Exit


@app.callback(help="A digital twin in a container for every smart meter.")
def _top(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
