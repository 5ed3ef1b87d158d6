from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from adaptune.signals import (
    REPEAT_S,
    STOP_SIGNALS,
    StopRequest,
    handlers_restored,
    hangup_blocked,
    signal_number,
    stop_deferred,
    stop_on_signals,
)

SETUP = """
import os, signal, sys, time
from adaptune.signals import *
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Lets no handler escape from a failed test, and the signals do nothing otherwise."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stop_of(function: Callable[[], object]) -> StopRequest:
    """Call a function under the handlers, and return the request that must stop it."""
    with pytest.raises(StopRequest) as caught, stop_on_signals():
        function()
    return caught.value


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def run(statements: str, *, prefix: str = "") -> subprocess.CompletedProcess[str]:
    """Run statements in a process of their own."""
    command = f'{prefix} exec "$@"'
    return subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-c", SETUP + statements],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_signal_stops_with_its_number(number: signal.Signals) -> None:
    stop = stop_of(lambda: send(number))
    assert stop.signal_number == number
    assert signal_number(stop) == number
    assert isinstance(stop, KeyboardInterrupt)


def test_an_interrupt_of_python_itself_is_ctrl_c() -> None:
    assert signal_number(KeyboardInterrupt()) == signal.SIGINT


def test_an_interrupt_of_ray_has_the_number_of_the_signal_that_caused_it() -> None:
    with stop_on_signals():
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            assert signal_number(KeyboardInterrupt()) == signal.SIGTERM


def test_the_earlier_handlers_return_at_the_end() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with stop_on_signals():
        assert {number: signal.getsignal(number) for number in STOP_SIGNALS} != before
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before


def test_an_inner_block_leaves_the_handlers_of_the_outer_one() -> None:
    def search() -> None:
        with stop_on_signals():
            pass
        send(signal.SIGTERM)

    assert stop_of(search).signal_number == signal.SIGTERM


def test_another_thread_leaves_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    handlers = []

    def search() -> None:
        with stop_on_signals(), handlers_restored(), stop_deferred(), hangup_blocked():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_a_request_that_is_sent_twice_is_one_request() -> None:
    # `timeout` signals its child, and then its group.
    steps = []

    def search() -> None:
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            steps.append("cleaned up")

    stop_of(search)
    assert steps == ["cleaned up"]


def test_a_second_signal_ends_the_process_without_its_clean_up() -> None:
    process = run(
        "with stop_on_signals():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n"
        f"        time.sleep({REPEAT_S} + 0.1)\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        print('cleaned up', flush=True)\n"
    )
    assert (process.returncode, process.stdout) == (128 + signal.SIGTERM, "")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    process = run(
        "with stop_on_signals():\n"
        "    with handlers_restored():\n"
        "        signal.raise_signal(signal.SIGHUP)\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    print('trained on')\n",
        prefix="trap '' HUP;",
    )
    assert (process.returncode, process.stdout) == (0, "trained on\n")


def test_a_deferred_signal_stops_at_the_end_of_the_block() -> None:
    steps = []

    def search() -> None:
        with stop_deferred():
            with stop_deferred():
                send(signal.SIGHUP)
                steps.append("inner")
            steps.append("outer")
        steps.append("after")

    assert stop_of(search).signal_number == signal.SIGHUP
    assert steps == ["inner", "outer"]


def test_an_error_in_a_deferring_block_does_not_lose_the_signal() -> None:
    def search() -> None:
        with stop_deferred():
            send(signal.SIGINT)
            raise OSError("disk full")

    assert isinstance(stop_of(search).__context__, OSError)


def test_without_handlers_nothing_is_deferred() -> None:
    received = []
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    with stop_deferred():
        send(signal.SIGTERM)
        assert received == [signal.SIGTERM]


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


def test_a_signal_in_a_finalizer_is_not_lost() -> None:
    class Finalized:
        def __del__(self) -> None:
            send(signal.SIGTERM)
            time.sleep(0)  # Python runs the handler here, and drops what it raises

    def search() -> None:
        Finalized()
        time.sleep(5)

    start = time.monotonic()
    assert stop_of(search).signal_number == signal.SIGTERM
    assert time.monotonic() - start < 5


def test_a_process_is_started_without_the_hangup_and_its_parent_receives_it() -> None:
    child = [sys.executable, "-c", "import signal; signal.raise_signal(1); print('alive')"]
    outputs = []

    def search() -> None:
        with hangup_blocked():
            outputs.append(subprocess.check_output(child, text=True))
            send(signal.SIGHUP)

    assert stop_of(search).signal_number == signal.SIGHUP
    assert outputs == ["alive\n"]
