from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.stop_signals import drop_signal

from adaptune.errors import (
    InterruptedSearchError,
    NodesLostError,
    ResultsError,
    SearchFailedError,
)
from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import driver_lock
from adaptune.signals import STOP_SIGNALS, StopRequest, stop_message, stop_on_signals
from adaptune.workflows import session as session_module
from adaptune.workflows.session import session

AGAIN = "The same command continues."


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path)


def test_the_folder_is_locked_during_a_session(folder: ResultsFolder) -> None:
    with session(folder, AGAIN), pytest.raises(ResultsError, match="is in use by"):
        session(folder, AGAIN).__enter__()
    with driver_lock(folder):
        pass


def test_a_file_system_without_locks_is_named(
    folder: ResultsFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with session(folder, AGAIN):
        pass
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"warning: the file system of {folder.path} has no locks; ")


def test_the_console_writes_to_standard_output(
    folder: ResultsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with session(folder, AGAIN) as console:
        console.print("trial 0: epoch 1")
    assert capsys.readouterr().out == "trial 0: epoch 1\n"


def test_an_interruption_says_how_to_continue(folder: ResultsFolder) -> None:
    with pytest.raises(InterruptedSearchError) as caught, session(folder, AGAIN):
        raise KeyboardInterrupt
    assert str(caught.value) == f"stopped; everything is kept in {folder.path}. {AGAIN}"
    assert caught.value.signal_number == signal.SIGINT
    with driver_lock(folder):
        pass


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_stop_signal_says_how_to_continue(
    folder: ResultsFolder, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(InterruptedSearchError, match=AGAIN) as caught, session(folder, AGAIN):
        os.kill(os.getpid(), number)
    assert caught.value.signal_number == number
    assert signal.getsignal(number) == before


def test_an_unexpected_error_leaves_its_traceback_in_the_log(folder: ResultsFolder) -> None:
    folder.log.write_text("Ray's output\n")
    with pytest.raises(SearchFailedError) as caught, session(folder, AGAIN):
        raise ValueError("no such key")
    assert str(caught.value) == (
        f"the search failed: no such key\nFinished trials are kept in {folder.path}; the details"
        f" are in ray.log. {AGAIN}"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    log = folder.log.read_text()
    assert log.startswith("Ray's output\nTraceback (most recent call last):\n")
    assert log.endswith("ValueError: no such key\n")
    with driver_lock(folder):
        pass


def test_a_full_disk_does_not_hide_the_error(folder: ResultsFolder) -> None:
    folder.log.symlink_to("/dev/full")
    with (
        pytest.raises(SearchFailedError, match="the search failed: no such key"),
        session(folder, AGAIN),
    ):
        raise ValueError("no such key")


@pytest.mark.parametrize("error", [NodesLostError("no node had room"), ResultsError("not here")])
def test_an_expected_error_passes(folder: ResultsFolder, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, session(folder, AGAIN):
        raise error
    assert caught.value is error
    assert folder.log.read_text() == ""


def fail_after_a_signal(error: BaseException) -> None:
    """Drop the request to stop, and fail because the signal has ended other processes."""
    drop_signal()
    raise error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("the raylet is dead"), NodesLostError("no node had room"), SystemExit(1)],
    ids=["unexpected", "expected", "exit"],
)
def test_an_error_that_follows_a_signal_is_reported_as_a_stop(
    folder: ResultsFolder, error: BaseException
) -> None:
    with pytest.raises(InterruptedSearchError) as caught, session(folder, AGAIN):
        fail_after_a_signal(error)
    assert str(caught.value) == f"stopped; everything is kept in {folder.path}. {AGAIN}"
    assert caught.value.signal_number == signal.SIGTERM


def test_the_log_has_the_traceback_of_an_error_that_follows_a_signal(
    folder: ResultsFolder,
) -> None:
    with pytest.raises(InterruptedSearchError), session(folder, AGAIN):
        fail_after_a_signal(RuntimeError("the raylet is dead"))
    assert folder.log.read_text().endswith("RuntimeError: the raylet is dead\n")


def test_a_shutdown_that_fails_after_a_signal_is_a_stop(folder: ResultsFolder) -> None:
    @contextmanager
    def connection() -> Iterator[None]:
        try:
            yield
        finally:
            raise ConnectionError("the cluster is gone")

    stopped = pytest.raises(InterruptedSearchError, match=AGAIN)
    with stopped as caught, session(folder, AGAIN), connection():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.signal_number == signal.SIGTERM


def test_a_signal_while_a_failure_is_reported_says_how_to_continue(
    folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def print_exc(**_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(session_module.traceback, "print_exc", print_exc)
    with pytest.raises(InterruptedSearchError, match=AGAIN), session(folder, AGAIN):
        raise ValueError("no such key")


def test_a_signal_at_the_end_of_a_session_says_how_to_continue(folder: ResultsFolder) -> None:
    with stop_on_signals():
        with session(folder, AGAIN):
            pass
        with pytest.raises(StopRequest):
            os.kill(os.getpid(), signal.SIGTERM)  # while the leases are released
        assert stop_message() == f"stopped; everything is kept in {folder.path}. {AGAIN}"
