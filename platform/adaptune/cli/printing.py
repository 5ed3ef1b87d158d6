"""Printing to standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from adaptune.report.table import Table

if TYPE_CHECKING:
    from adaptune.report.tables import ReplicationTable


def stdout_console() -> Console:
    """Return a console that prints text as it is: brackets in an error are no markup."""
    return Console(highlight=False, markup=False, emoji=False)


def stderr_console() -> Console:
    """Return a console on standard error, for progress: standard output has the results."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_table(console: Console, table: Table) -> None:
    """Print a table, or nothing if it has no rows."""
    if not table:
        return
    rich_table = RichTable(*table.header, box=box.SIMPLE)
    for row in table.rows:
        rich_table.add_row(*row)
    console.print(rich_table)


def print_lines(console: Console, table: Table) -> None:
    """Print a table with one line per row; a terminal cuts off what its width has no room for."""
    if not table:
        return
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    for row in (table.header, *table.rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = Text(" ".join("  ".join(cells).splitlines()).rstrip())
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line, soft_wrap=True)


def print_replication(console: Console, name: str, replication: ReplicationTable) -> None:
    """Print what `confirm` or `ablate` found, or nothing if it has not run."""
    if not replication.table:
        return
    console.print(f"{name}:")
    print_table(console, replication.table)
    console.print("\n".join(replication.conclusion), soft_wrap=True)
