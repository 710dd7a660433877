"""`metertwin tariff`: check, show and import tariffs, without a site."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from metertwin.apps.tariff.documents import (
    TariffDocumentError,
    parse_tariff,
    tariff_to_plain,
    tariff_yaml,
)
from metertwin.apps.tariff.documents.urdb import UrdbImport, import_urdb, read_urdb
from metertwin.apps.tariff.energy import TierRule
from metertwin.cli.options import JsonOption
from metertwin.cli.show import console, print_json
from metertwin.cli.tariff_tables import renderables
from metertwin.core.errors import InvalidInputError, NotFoundError, UnavailableError

tariff = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

FileArgument = Annotated[Path, typer.Argument(help="A tariff, as docs/tariffs.md says.")]


class TariffFileError(NotFoundError):
    """A tariff's file cannot be read."""

    code = "cli.tariff_file"


class TariffOutputError(UnavailableError):
    """The imported tariff cannot be written."""

    code = "cli.tariff_output"


class UnsupportedRateError(InvalidInputError):
    """A rate has fields that do not reach the bill, and nobody allowed that."""

    code = "cli.unsupported_rate"


@tariff.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Tariffs, as docs/tariffs.md says.")],
    *,
    json: JsonOption = False,
) -> None:
    """Say of each file whether it is a tariff that can be applied; exit code 1 if one is not."""
    reports = []
    for path in files:
        report = _checked(path)
        reports.append(report)
        if json:
            continue
        if report["problem_count"]:
            typer.echo(report["message"], err=True)
        else:
            typer.echo(f"{path}: {report['id']} version {report['version']} can be applied.")
    if json:
        print_json(reports)
    if any(report["problem_count"] for report in reports):
        raise typer.Exit(1)


@tariff.command()
def show(file: FileArgument, *, json: JsonOption = False) -> None:
    """Show prices by period and block, and when each period holds."""
    read = parse_tariff(_text_of(file), str(file))
    if json:
        print_json(tariff_to_plain(read))
        return
    for renderable in renderables(read):
        console.print(renderable)


@tariff.command("import-urdb")
def import_rate(
    file: Annotated[Path, typer.Argument(help="JSON of OpenEI's utility rate database.")],
    *,
    out: Annotated[Path, typer.Option(help="YAML file to write.")],
    zone: Annotated[
        str, typer.Option(help="Time zone of the rate's hours, such as America/Chicago.")
    ],
    tier_rule: Annotated[
        TierRule | None, typer.Option(help="How energy fills blocks; needed if there are some.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Which rate of a file that has several, from 1.")
    ] = None,
    allow_unsupported: Annotated[
        bool,
        typer.Option("--allow-unsupported", help="Import though fields do not reach the bill."),
    ] = False,
) -> None:
    """Import a rate; refuse it if part of it would not reach the bill, unless that is allowed."""
    chosen = _chosen(read_urdb(_text_of(file), str(file)), rate, file)
    result = import_urdb(chosen, tier_rule=tier_rule, zone=zone, where=str(file))
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    for item in result.unsupported:
        typer.echo(f"unsupported: {item}", err=True)
    if result.unsupported and not allow_unsupported:
        raise UnsupportedRateError(
            f"{file} has {len(result.unsupported)} fields that do not, or not surely, reach the "
            "bill, as said above; nothing was written. Add what is missing to the tariff by hand "
            "after importing it with --allow-unsupported.",
            unsupported=[str(item) for item in result.unsupported],
        )
    _write(out, _commented(result, file))
    typer.echo(f"Wrote {result.tariff.id} to {out}.", err=True)


def _checked(path: Path) -> dict[str, object]:
    try:
        read = parse_tariff(_text_of(path), str(path))
    except TariffFileError as error:
        problems: list[dict[str, object]] = [{"path": "", "line": None, "sentence": str(error)}]
        message = str(error)
    except TariffDocumentError as error:
        problems = [
            {"path": p.path, "line": p.line_number, "sentence": p.sentence} for p in error.problems
        ]
        message = str(error)
    else:
        return {
            "file": str(path),
            "id": read.id,
            "version": read.version,
            "problem_count": 0,
            "problems": [],
        }
    return {
        "file": str(path),
        "problem_count": len(problems),
        "problems": problems,
        "message": message,
    }


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if str(path) != "-" else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TariffFileError(f"{path} cannot be read: {error}.", path=str(path)) from error


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TariffOutputError(
            f"{out} cannot be written: {error.strerror}.", path=str(out)
        ) from error


def _chosen(
    rates: list[Mapping[str, object]], number: int | None, file: Path
) -> Mapping[str, object]:
    if number is None and len(rates) == 1:
        return rates[0]
    if number is None or number > len(rates):
        raise InvalidInputError(
            f"{file} has {len(rates)} rates; choose one with --rate 1 to {len(rates)}.",
            rate_count=len(rates),
        )
    return rates[number - 1]


def _commented(result: UrdbImport, file: Path) -> str:
    said = [f"Imported from {file.name}, OpenEI's utility rate database."]
    said += [f"Note: {note}" for note in result.notes]
    said += [f"UNSUPPORTED: {item}" for item in result.unsupported]
    lines = [" ".join(line.split()) for line in said]
    return "".join(f"# {line}\n" for line in lines) + tariff_yaml(result.tariff)
