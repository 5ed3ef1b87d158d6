"""The commands `datasets` and `inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from adaptune.report.data_findings import DataFinding

STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}
_MOST_LINES = 20


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
    from adaptune.workflows.progress import PreparationProgress

    console = stdout_console()
    spec = load_spec(space, list(set_ or []))
    report = inspect_data(spec, PreparationProgress(console))
    page = report.write_page(out)  # before the output, which a pipe may cut off
    is_kept = report.store()
    _print_findings(console, report.findings)
    _print_some(console, "leaks into the held-out test", report.leaks)
    _print_some(console, "unreadable images", report.unreadable)
    # Rich breaks a header at spaces only.
    header = tuple(part.replace("_", " ") for part in report.counts.header)
    print_table(console, replace(report.counts, header=header))
    print_table(console, report.stored)
    print_table(console, report.statistics)
    console.print(f"with images: {page}", soft_wrap=True)
    if is_kept:
        console.print("reports of searches with these data will show the findings", soft_wrap=True)
    raise typer.Exit(int(report.has_fault))


def _print_findings(console: Console, findings: Sequence[DataFinding]) -> None:
    for finding in findings:
        console.print(f"{finding.level:<9}", style=STYLES[finding.level], end="")
        lines = finding.message.split("\n")
        console.print(f"\n{'':<9}".join(lines), soft_wrap=True)


def _print_some(console: Console, title: str, lines: list[str]) -> None:
    """Print the first lines of a list, which the page has in full."""
    if not lines:
        return
    console.print(f"\n{title}:")
    for line in lines[:_MOST_LINES]:
        console.print(f"  {line}", soft_wrap=True)
    if len(lines) > _MOST_LINES:
        console.print(f"  … and {len(lines) - _MOST_LINES} more")
