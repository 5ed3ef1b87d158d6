"""The journal of a study in an object store, in parts that are only added."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from adaptune.errors import ResultsError
from adaptune.results.folder import join_uri
from adaptune.training.file_store import FileStore

MAX_PARTS = 100
_PART = re.compile(r"\d{12}")


@dataclass(frozen=True)
class _Part:
    start: int
    size: int

    @property
    def name(self) -> str:
        return f"{self.start:012d}"

    @property
    def end(self) -> int:
        return self.start + self.size


class RemoteJournal:
    """The copy of a journal: objects whose names are the offset of their first byte.

    A journal only grows, so each upload adds an object with the new bytes. After `MAX_PARTS` of
    them, one object with all bytes takes their place. All methods raise OSError if the store fails.

    Args:
        remote: URI of the search in the store.
    """

    def __init__(self, remote: str) -> None:
        self._remote = remote
        self._store = FileStore(join_uri(remote, "study.journal"))
        self._parts: list[_Part] | None = None  # unknown

    def size(self) -> int:
        """Return the number of bytes in the store.

        Raises:
            ResultsError: bytes between two parts are missing.
        """
        end = 0
        for part in self._known_parts():
            if part.start > end:
                raise ResultsError(
                    f"{self._remote}/study.journal is damaged: bytes {end} to {part.start} are"
                    " missing; restore the object, or continue from the folder of the machine that"
                    " ran the search, with another storage.remote"
                )
            end = max(end, part.end)
        return end

    def read(self) -> bytes:
        """Return all bytes.

        Raises:
            ResultsError: bytes between two parts are missing.
        """
        self.size()
        journal = b""
        for part in self._known_parts():
            if part.end > len(journal):  # otherwise a merge that was broken off left it
                body = self._store.read_once(part.name)
                journal += body[len(journal) - part.start :]
        return journal

    def append(self, journal: Path, end: int) -> None:
        """Upload the bytes that the store lacks.

        Args:
            journal: the journal, which may be growing.
            end: number of its bytes that are complete.

        Raises:
            ResultsError: the store holds more than the journal: that of another driver.
        """
        start = self.size()
        if start > end:
            raise ResultsError(
                f"{self._remote}/study.journal has {start} bytes, but {journal} has {end}: another"
                " driver has written to it"
            )
        if start == end:
            return
        parts = self._known_parts()
        self._parts = None  # unknown, should the following fail
        if len(parts) < MAX_PARTS:
            parts.append(self._upload(journal, start, end))
        else:
            merged = self._upload(journal, 0, end)
            for part in parts:
                if part.start > 0:
                    self._store.delete(part.name)
            parts = [merged]
        self._parts = parts

    def delete(self) -> None:
        """Delete all parts, the newest first."""
        for part in reversed(self._known_parts()):
            self._store.delete(part.name)
        self._parts = None

    def _upload(self, journal: Path, start: int, end: int) -> _Part:
        part = _Part(start, end - start)
        with journal.open("rb") as file:
            file.seek(start)
            self._store.write(part.name, file.read(part.size))
        return part

    def _known_parts(self) -> list[_Part]:
        if self._parts is None:
            sizes = self._store.sizes_once()
            self._parts = []
            for name in sorted(sizes):
                if _PART.fullmatch(name):
                    self._parts.append(_Part(int(name), sizes[name]))
        return self._parts
