"""A session of the driver on a results folder: its lock, its log, and the errors that end it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from adaptune.cluster.output import redirect_output
from adaptune.errors import AdaptuneError, InterruptedSearchError, SearchFailedError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import driver_lock, no_lock_warning
from adaptune.signals import set_stop_message, stop_number, stop_on_signals


@contextmanager
def session(folder: ResultsFolder, how_to_continue: str) -> Iterator[Console]:
    """Hold the folder's lock and send Ray's output to its log; yield a console on the terminal.

    Args:
        how_to_continue: sentence for the user, which ends the message of an error.

    Raises:
        ResultsError: another driver holds the lock.
        InterruptedSearchError: a signal stopped the session: SIGINT, or in the main thread also
            SIGTERM or SIGHUP. It takes the place of any error that follows the signal.
        SearchFailedError: an unexpected error ended it.
    """
    message = f"stopped; everything is kept in {folder.path}. {how_to_continue}"
    with stop_on_signals():
        set_stop_message(message)
        try:
            with (
                driver_lock(folder) as is_locked,
                redirect_output(folder.log) as console,
                _failures_explained(folder, how_to_continue),
            ):
                if not is_locked:
                    console.print(no_lock_warning(folder))
                yield console
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            number = stop_number(error)
            if number is None:
                raise
            raise InterruptedSearchError(message, number) from None


@contextmanager
def _failures_explained(folder: ResultsFolder, how_to_continue: str) -> Iterator[None]:
    """Write the traceback of an unexpected error to the log, and raise a SearchFailedError."""
    try:
        yield
    except AdaptuneError:
        raise
    except Exception as error:
        # A full disk must not hide the error itself.
        with suppress(OSError), folder.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        raise SearchFailedError(
            f"the search failed: {error}\nFinished trials are kept in {folder.path}; the"
            f" details are in {folder.log.name}. {how_to_continue}"
        ) from error
