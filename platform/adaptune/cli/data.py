"""The commands `datasets` and `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}


def datasets() -> None:
    """List the domains that a file can name."""
    from adaptune.data.registry import describe

    for name, description in describe().items():
        print(f"{name:<18} {description}")


def inspect(
    space: Annotated[
        str, typer.Argument(help="search space file, a path or a name in search_spaces/")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value, overrides the file")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write (default: NAME-data.html in the folder of results)"),
    ] = None,
) -> None:
    """Look at both domains before a search: counts, copies, leaks into the test, samples.

    The exit status is 1 if the data must be repaired before a search.
    """
    from adaptune.cli.printing import print_table, stdout_console
    from adaptune.spec import load_spec
    from adaptune.workflows.data_report import inspect_data

    report = inspect_data(load_spec(space, list(set_ or [])))
    console = stdout_console()
    for finding in report.findings:
        console.print(f"{finding.level:<9}", style=STYLES[finding.level], end="")
        console.print(finding.message, soft_wrap=True)
    print_table(console, report.leaks)
    print_table(console, report.counts)
    print_table(console, report.stored)
    print_table(console, report.statistics)
    print_table(console, report.unreadable)
    console.print(f"with images: {report.write_page(out)}", soft_wrap=True)
    raise typer.Exit(int(report.has_fault))
