from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from adaptune.signals import (
    REPEAT_S,
    STOP_SIGNALS,
    StopRequest,
    raise_if_stopped,
    set_stop_message,
    stop_deferred,
    stop_message,
    stop_number,
    stop_on_signals,
    stop_within,
)

SETUP = """
import ctypes, os, signal, sys, threading, time
from adaptune import signals
from adaptune.signals import *

def send_later(number):
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
"""
# As Ray's code while it waits for a dead server: neither a signal nor an exception ends it.
WAIT_FOR_EVER = """
    mutex = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).pthread_mutex_init(mutex, None)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
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
    assert stop_number(stop) == number
    assert isinstance(stop, KeyboardInterrupt)


def test_an_interrupt_of_python_itself_is_ctrl_c() -> None:
    assert stop_number(KeyboardInterrupt()) == signal.SIGINT


def test_an_interrupt_of_ray_has_the_number_of_the_signal_that_caused_it() -> None:
    with stop_on_signals():
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            assert stop_number(KeyboardInterrupt()) == signal.SIGTERM


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
        with stop_on_signals(), stop_deferred(), stop_within(0):
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
        "        set_stop_message('stopped; run the command again')\n"
        f"        time.sleep({REPEAT_S} + 0.1)\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        print('cleaned up', flush=True)\n"
    )
    assert (process.returncode, process.stdout) == (128 + signal.SIGTERM, "")
    assert process.stderr == "\nadaptune: stopped; run the command again\n"


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    process = run(
        "with stop_on_signals():\n"
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


def test_an_interrupt_of_ray_in_a_finalizer_is_not_lost() -> None:
    class Finalized:
        def __del__(self) -> None:
            try:
                send(signal.SIGTERM)
                time.sleep(0)
            except KeyboardInterrupt:
                raise KeyboardInterrupt from None  # as Ray does while it waits

    def search() -> None:
        Finalized()
        time.sleep(5)

    start = time.monotonic()
    assert stop_of(search).signal_number == signal.SIGTERM
    assert time.monotonic() - start < 5


def swallow(number: int) -> None:
    """Receive a signal in code that drops its exception."""
    with suppress(KeyboardInterrupt):
        send(number)


def test_every_error_after_a_signal_goes_back_to_it() -> None:
    error = ConnectionError("the raylet is dead")
    with stop_on_signals():
        assert stop_number(error) is None
        swallow(signal.SIGTERM)
        assert stop_number(error) == stop_number(SystemExit(1)) == signal.SIGTERM
    assert stop_number(error) is None


def test_a_request_that_other_code_has_dropped_is_raised_again() -> None:
    def search() -> None:
        raise_if_stopped()
        swallow(signal.SIGHUP)
        raise_if_stopped()

    assert stop_of(search).signal_number == signal.SIGHUP


def test_the_message_about_a_stop_is_the_last_one_that_was_set() -> None:
    set_stop_message("without handlers, nobody reads it")
    with stop_on_signals():
        assert stop_message() == "stopped"
        set_stop_message("stopped; nothing was written")
        with stop_on_signals():
            set_stop_message("stopped; everything is kept")
        assert stop_message() == "stopped; everything is kept"
    assert stop_message() == "stopped"


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_process_whose_main_thread_cannot_handle_it(number: int) -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.2\n"
        f"send_later({int(number)})\n"
        "with stop_on_signals():\n"
        "    set_stop_message('stopped; everything is kept')\n"
        "    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"  # the log
        f"{WAIT_FOR_EVER}"
    )
    assert process.returncode == 128 + number
    assert process.stderr == "\nadaptune: stopped; everything is kept\n"


def test_a_handled_signal_has_as_much_time_as_it_needs() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.1\n"
        "with stop_on_signals():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    except StopRequest:\n"
        "        time.sleep(0.5)\n"
        "        print('cleaned up')\n"
    )
    assert (process.returncode, process.stdout) == (0, "cleaned up\n")


def test_a_signal_that_another_handler_took_does_not_outlast_the_block() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.3\n"
        "with stop_on_signals():\n"
        "    ours = signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    time.sleep(0.1)\n"
        "time.sleep(0.6)\n"
        "print('alive')\n"
    )
    assert (process.returncode, process.stdout) == (0, "alive\n")


def test_a_signal_to_a_forked_child_is_none_to_its_parent() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.1\n"
        "with stop_on_signals():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try:\n"
        "            time.sleep(10)\n"
        "        finally:\n"
        "            os._exit(0)\n"
        "    time.sleep(0.2)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    os.waitpid(child, 0)\n"
        "    time.sleep(0.5)\n"
        "    print('alive')\n"
    )
    assert (process.returncode, process.stdout) == (0, "alive\n")


def test_a_block_that_hangs_after_a_signal_ends_the_process() -> None:
    process = run(
        "with stop_on_signals():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n"
        "        with stop_within(0.2):\n"
        "            time.sleep(10)\n"
    )
    assert process.returncode == 128 + signal.SIGTERM
    assert process.stderr == "\nadaptune: stopped\n"


def test_a_block_without_a_signal_may_take_longer() -> None:
    with stop_on_signals(), stop_within(0.05):
        time.sleep(0.2)
