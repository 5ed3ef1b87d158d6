"""Uploads in the background of a search."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from adaptune.errors import LeaseLostError
from adaptune.results.folder import ResultsFolder
from adaptune.results.remote import RemoteCopy

log = logging.getLogger(__name__)
MIN_INTERVAL_S = 10.0
MIN_JOURNAL_INTERVAL_S = 1.0
INTERVAL_PER_DURATION = 20
CLOSE_TIMEOUT_S = 120.0


def interval_after(duration_s: float, min_interval_s: float) -> float:
    """Return the seconds to wait after regular work, so that it takes little of the time.

    Args:
        duration_s: seconds that the work took.
        min_interval_s: seconds to wait at least.
    """
    return max(min_interval_s, INTERVAL_PER_DURATION * duration_s)


class Uploader:
    """Copies a search to `storage.remote` in a thread; a newer state replaces one that waits.

    The interval between two uploads is 20 times the duration of the last one, and one second for
    the journal and ten for the other files at least. Errors are logged, and the upload is repeated.
    At the end of the context, the last state is uploaded.

    Args:
        folder: results folder; without a remote, nothing happens.
        check: called before each upload; raises LeaseLostError to end all uploads.
        min_interval_s: seconds between two uploads of the files, at least.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        check: Callable[[], None] = lambda: None,
        min_interval_s: float = MIN_INTERVAL_S,
    ) -> None:
        self._folder = folder
        self._check = check
        self._min_interval_s = min_interval_s
        self._copy = RemoteCopy(folder)
        self._changed = threading.Condition()
        self._journal_size = 0
        self._uploaded_size = 0
        self._journal_due = 0.0  # monotonic time
        self._files_wait = False
        self._files_due = 0.0  # monotonic time
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def request_journal(self) -> None:
        """Ask for an upload of the journal; nothing may be appending to it at this moment."""
        self._request(files=False)

    def request_all(self) -> None:
        """Ask for an upload of the journal and the other files."""
        self._request(files=True)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Upload the last state and end the thread.

        Args:
            timeout_s: seconds to wait for it; an upload that takes longer is abandoned.
        """
        if self._thread is None:
            return
        self._request(files=True)
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("the copy to storage.remote did not end within %.0f s", timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _request(self, *, files: bool) -> None:
        if self._folder.remote is None:
            return
        try:
            size = self._folder.journal.stat().st_size
        except FileNotFoundError:  # the study is in a database
            size = 0
        with self._changed:
            self._journal_size = size
            self._files_wait |= files
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._pause_s() != 0:
                    self._changed.wait(self._pause_s())
                is_last = self._is_closing
                size = self._journal_size
                files = is_last or (self._files_wait and time.monotonic() >= self._files_due)
                self._files_wait &= not files
            if not self._upload(size, files=files) or is_last:
                return

    def _pause_s(self) -> float | None:
        """Return the seconds until something is due, or None if nothing waits."""
        if self._is_closing:
            return 0.0
        due = []
        if self._journal_size > self._uploaded_size:
            due.append(self._journal_due)
        if self._files_wait:
            due.append(self._files_due)
        if not due:
            return None
        return max(min(due) - time.monotonic(), 0.0)

    def _upload(self, size: int, *, files: bool) -> bool:
        """Upload; return False if the lease is lost."""
        start = time.monotonic()
        journal_interval_s = self._min_interval_s
        try:
            self._check()
            self._copy.upload_journal(size)
            self._uploaded_size = size
            if files:
                self._copy.upload_files()
            journal_interval_s = MIN_JOURNAL_INTERVAL_S
        except LeaseLostError as error:
            log.warning("%s", error)
            return False
        except Exception as error:  # repeated when it is due again
            log.warning("the copy to storage.remote failed: %s", error)
            with self._changed:
                self._files_wait |= files
        end = time.monotonic()
        duration_s = end - start
        self._journal_due = end + interval_after(duration_s, journal_interval_s)
        if files:
            self._files_due = end + interval_after(duration_s, self._min_interval_s)
        return True
