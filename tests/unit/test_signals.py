from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest
from support.stop_signals import drop_signal, send, stop_of

from adaptune.signals import (
    STOP_SIGNALS,
    raise_if_stopped,
    set_stop_message,
    stop_deferred,
    stop_message,
    stop_number,
    stop_on_signals,
    stop_within,
)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Lets no handler escape from a failed test, and the signals do nothing otherwise."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


def test_every_error_after_a_signal_goes_back_to_it() -> None:
    error = ConnectionError("the raylet is dead")
    with stop_on_signals():
        assert stop_number(error) is None
        drop_signal(signal.SIGTERM)
        assert stop_number(error) == stop_number(SystemExit(1)) == signal.SIGTERM
    assert stop_number(error) is None


def test_a_request_that_other_code_has_dropped_is_raised_again() -> None:
    def search() -> None:
        raise_if_stopped()
        drop_signal(signal.SIGHUP)
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


def test_a_block_without_a_signal_may_take_longer() -> None:
    with stop_on_signals(), stop_within(0.05):
        time.sleep(0.2)
