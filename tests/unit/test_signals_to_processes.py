"""Signals to processes of their own, which they end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from adaptune.signals import REPEAT_S, STOP_SIGNALS

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


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_process_whose_main_thread_cannot_handle_it(number: int) -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.2\n"
        "with stop_on_signals():\n"
        "    set_stop_message('stopped; everything is kept')\n"
        "    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"  # the log
        f"    send_later({int(number)})\n"
        f"{WAIT_FOR_EVER}"
    )
    assert process.returncode == 128 + number
    assert process.stderr == "\nadaptune: stopped; everything is kept\n"


def test_a_handled_signal_has_as_much_time_as_it_needs() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 1\n"
        "with stop_on_signals():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    except StopRequest:\n"
        "        time.sleep(1.5)\n"
        "        print('cleaned up')\n"
    )
    assert (process.returncode, process.stdout) == (0, "cleaned up\n")


def test_a_signal_that_another_handler_took_does_not_outlast_the_block() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 1\n"
        "with stop_on_signals():\n"
        "    ours = signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    time.sleep(0.1)\n"
        "time.sleep(1.5)\n"
        "print('alive')\n"
    )
    assert (process.returncode, process.stdout) == (0, "alive\n")


def test_a_signal_to_a_forked_child_is_none_to_its_parent() -> None:
    process = run(
        "signals.HANDLING_TIMEOUT_S = 0.1\n"
        "with stop_on_signals():\n"
        "    ready, announce = os.pipe()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try:\n"
        "            os.write(announce, b'.')\n"
        "            time.sleep(10)\n"
        "        finally:\n"
        "            os._exit(0)\n"
        "    os.read(ready, 1)\n"
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
