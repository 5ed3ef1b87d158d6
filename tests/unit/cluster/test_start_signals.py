from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from support.stop_signals import send, stop_of

from adaptune.cluster.start_signals import handlers_restored, hangup_blocked
from adaptune.signals import stop_on_signals


def exit_as_ray_does(number: int, _: object) -> None:
    sys.exit(number)


def test_the_handler_survives_a_call_that_replaces_it() -> None:
    def search() -> None:
        with handlers_restored():
            signal.signal(signal.SIGTERM, exit_as_ray_does)
        send(signal.SIGTERM)

    assert stop_of(search).signal_number == signal.SIGTERM


def test_a_signal_during_a_call_that_replaces_the_handler_stops() -> None:
    def search() -> None:
        with handlers_restored():
            signal.signal(signal.SIGTERM, exit_as_ray_does)
            send(signal.SIGTERM)

    assert stop_of(search).signal_number == signal.SIGTERM


def test_an_exit_for_another_reason_remains_one() -> None:
    with pytest.raises(SystemExit, match="2"), stop_on_signals(), handlers_restored():
        sys.exit(2)


def test_a_process_is_started_without_the_hangup_and_its_parent_receives_it() -> None:
    child = [sys.executable, "-c", "import signal; signal.raise_signal(1); print('alive')"]
    outputs = []

    def search() -> None:
        with hangup_blocked():
            outputs.append(subprocess.check_output(child, text=True))
            send(signal.SIGHUP)

    assert stop_of(search).signal_number == signal.SIGHUP
    assert outputs == ["alive\n"]


def test_an_ignored_signal_is_ignored_meanwhile() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(), handlers_restored():
            send(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    handlers = []

    def connect() -> None:
        with handlers_restored(), hangup_blocked():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    assert handlers == [before]
