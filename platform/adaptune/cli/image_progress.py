"""Progress of a command that goes through images, and the images that it could not use."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adaptune.errors import DataError

T = TypeVar("T")


class ImageProgress:
    """A bar on standard error if that is a terminal, and a count of images that failed.

    Args:
        verb: what happens to an image, such as `classified`.
        total: number of images.
        prints_rows: whether rows are printed to standard output. If that is a terminal, too, they
            are the progress, and a bar would disturb them.
    """

    def __init__(self, verb: str, total: int, *, prints_rows: bool) -> None:
        self._verb = verb
        self._total = total
        self._failed = 0
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or (prints_rows and sys.stdout.isatty()),
            redirect_stdout=False,
        )
        self._task = self._bar.add_task(f"images {verb}", total=total)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self._bar.stop()

    def each(self, results: Iterable[T]) -> Iterator[T]:
        """Yield the results of images, and note each as done."""
        for result in results:
            yield result
            self._bar.advance(self._task)

    def report(self, error: DataError) -> None:
        """Print why an image cannot be used."""
        self._failed += 1
        self._bar.console.print(f"adaptune: {error}", soft_wrap=True)
        self._bar.advance(self._task)

    def exit_if_failed(self) -> None:
        """End the command with status 1 if an image could not be used."""
        if self._failed:
            self._bar.console.print(
                f"adaptune: {self._failed} of {self._total} images were not {self._verb}",
                soft_wrap=True,
            )
            raise typer.Exit(1)
