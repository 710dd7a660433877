"""Run benchmarks and print one table: `./run bench [NAME ...] [--json FILE]`.

Each benchmark is a program of its own beside this file that prints a JSON list of
`{name, goal, figure, unit, ratio, ok}` when called with `--json`. They run one after the other,
each in a fresh process, so that none disturbs another. A missed goal is shown, not hidden: the exit
code tells only whether all of them ran.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ORDER = (
    "cosem_get",
    "simulator",
    "bus",
    "recorder",
    "pipeline",
    "twins",
    "billing",
    "bill_so_far",
    "gateway",
    "api",
    "start",
    "containers",
    "compute_added",
    "sites",
)
TIMEOUT_S = 1_800  # `sites` holds a cut for ten minutes

Row = dict[str, Any]


def main(
    names: list[str] | None = typer.Argument(None, help=f"Which ones: {', '.join(ORDER)}."),  # noqa: B008 - typer's way
    json_file: Path | None = typer.Option(None, "--json", help="Also write the rows here."),  # noqa: B008
) -> None:
    """Run the benchmarks and print goal, figure and ratio of each."""
    unknown = sorted(set(names or ()) - set(ORDER))
    if unknown:
        sys.exit(f"bench: no benchmark named {', '.join(unknown)}; there are {', '.join(ORDER)}.")
    console, rows, failed = Console(), [], []
    for name in names or ORDER:
        with console.status(f"{name} ..."):
            rows_of_one = run_one(name)
        if rows_of_one is None:
            failed.append(name)
        else:
            rows.extend(rows_of_one)
    console.print(table_of(rows))
    if json_file:
        json_file.write_text(json.dumps(rows, indent=2) + "\n")
    if failed:
        sys.exit(f"bench: {', '.join(failed)} did not finish; their output is above.")


def run_one(name: str) -> list[Row] | None:
    """Run one benchmark; return its rows, or None when it failed."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True)
        # The last line: a library of the parts measured may have said something before.
        rows: list[Row] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, json.JSONDecodeError, IndexError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return None
    return rows


def table_of(rows: list[Row]) -> Table:
    """Return the rows as a table for people."""
    table = Table("figure", "goal", "measured", "unit", "of goal", "met")
    for row in rows:
        table.add_row(
            str(row["name"]),
            f"{row['goal']:g}",
            f"{row['figure']:.4g}",
            str(row["unit"]),
            f"{row['ratio']:.2f}",
            "yes" if row["ok"] else "[bold red]no[/]",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
