"""The entry point: which commands there are, and how their errors reach a person.

A command's module is imported when the command runs, so that `metertwin --help` imports none.
"""

import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from metertwin import __version__
from metertwin.core.errors import MeterTwinError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

# Command, the module of metertwin.cli.commands that has it, and what it does.
COMMANDS = {
    "demo": ("demo", "Show it all on this machine: meters, twins, history, API."),
    "simulate": ("simulate", "Run a street of simulated meters that speak DLMS/COSEM."),
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
    "ledger": ("ledger", "Show that every reading arrived, once."),
    "calendar": ("calendar", "Write a tariff's calendar into a meter, or show the meter's."),
    "usage": ("usage", "Show, convert, bill and export usage files."),
    "tariff": ("tariff", "Check, show and import tariffs."),
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
    one = entry
    if not isinstance(entry, typer.Typer):
        one = typer.Typer(add_completion=False, rich_markup_mode="rich")
        one.command(name, help=text)(entry)
    command = get_command(one)
    assert isinstance(command, TyperCommand | TyperGroup)
    command.name, command.help = name, text
    return command


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


def main() -> None:
    """Run the program; errors end as one sentence on stderr and exit code 1, misuse as 2."""
    try:
        app(prog_name="metertwin")
    except MeterTwinError as error:
        typer.echo(f"metertwin: {error}", err=True)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
