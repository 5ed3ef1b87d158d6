"""Printing to standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from adaptune.errors import ResultsError, SpecError
from adaptune.files import write_file
from adaptune.report.table import Table
from adaptune.text import escape_control

if TYPE_CHECKING:
    from adaptune.artifacts.prediction_table import ByteOutput
    from adaptune.report.tables import ReplicationTable


def stdout_console() -> Console:
    """Return a console that prints text as it is: brackets in an error are no markup."""
    return Console(highlight=False, markup=False, emoji=False)


@contextmanager
def open_output(path: Path | None, *, is_binary: bool) -> Iterator[ByteOutput]:
    """Open a file that appears when it is complete, or standard output if there is no path.

    Args:
        path: path of the file, or None.
        is_binary: whether the output is not meant for a terminal or a pipe.

    Raises:
        SpecError: binary output has no path.
        ResultsError: the file cannot be written.
    """
    if path is not None:
        buffer = io.BytesIO()
        yield buffer
        try:
            write_file(path, buffer.getvalue())
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error.strerror}") from error
    elif is_binary:
        raise SpecError("this format is binary: name a file with --to")
    elif sys.stdout.isatty():
        yield _TerminalOutput()
    else:
        yield sys.stdout.buffer


class _TerminalOutput:
    """Standard output that is a terminal: control characters are printed as escape sequences."""

    def write(self, body: bytes) -> int:
        text = body.decode(errors="surrogateescape")
        sys.stdout.write(escape_control(text, keep="\n"))
        return len(body)

    def flush(self) -> None:
        sys.stdout.flush()


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
