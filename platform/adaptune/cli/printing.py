"""Printing to standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from adaptune.report.table import Table

if TYPE_CHECKING:
    from adaptune.report.tables import ReplicationTable


def stdout_console() -> Console:
    """Return a console that prints text as it is: brackets in an error are no markup."""
    return Console(highlight=False, markup=False, emoji=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table, or nothing if it has no rows."""
    if not table:
        return
    rich_table = RichTable(*table.header, box=box.SIMPLE)
    for row in table.rows:
        rich_table.add_row(*row)
    console.print(rich_table)


def print_replication(console: Console, name: str, replication: ReplicationTable) -> None:
    """Print what `confirm` or `ablate` found, or nothing if it has not run."""
    if not replication.table:
        return
    console.print(f"{name}:")
    print_table(console, replication.table)
    console.print("\n".join(replication.conclusion), soft_wrap=True)
