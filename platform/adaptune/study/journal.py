"""The study in a file of the results folder."""

from __future__ import annotations

import json
from pathlib import Path

from optuna.storages.journal import JournalFileBackend

from adaptune.files import append_to_file
from adaptune.results.journal_file import remove_left_locks, remove_partial_line


class StudyJournal(JournalFileBackend):
    """The journal of a study, for its only writer.

    In contrast to Optuna's backend, a failed append leaves no truncated line, and there is no lock
    file: the caller holds the lock of the results folder. A truncated last line, which a kill or a
    power cut may leave, is removed: Optuna would append after it and never read the journal again.
    """

    def __init__(self, journal: Path) -> None:
        remove_left_locks(journal)
        remove_partial_line(journal)
        append_to_file(journal, b"")  # creates it
        super().__init__(str(journal))
        self._journal = journal
        self._size = journal.stat().st_size

    def append_logs(self, logs: list[dict[str, object]]) -> None:
        """Append entries, all of them or none; they are on the disk when this returns."""
        lines = [json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs]
        body = "".join(lines).encode()
        append_to_file(self._journal, body, start=self._size)
        self._size += len(body)
