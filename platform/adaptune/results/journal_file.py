"""The journal of a study as a file that only grows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from adaptune.files import truncate_file


def complete_lines(journal: Path) -> bytes:
    """Return the journal without a truncated last line; empty if there is no journal."""
    try:
        text = journal.read_bytes()
    except FileNotFoundError:
        return b""
    return text[: text.rfind(b"\n") + 1]


def remove_partial_line(journal: Path) -> None:
    """Remove a truncated last line, which a kill or a power cut may leave.

    The caller holds the lock of the results folder.
    """
    if not journal.exists():
        return
    size = len(complete_lines(journal))
    if size < journal.stat().st_size:
        truncate_file(journal, size)


def remove_left_locks(journal: Path) -> None:
    """Remove the links by which Optuna's own backend locks a journal.

    One that a killed process left would block Optuna for good once the folder has moved. The caller
    holds the lock of the results folder.
    """
    for link in journal.parent.glob(f"{journal.name}.lock*"):
        with suppress(OSError):
            link.unlink()
