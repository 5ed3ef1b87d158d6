from __future__ import annotations

import signal

import pytest
from support.stop_signals import drop_signal

from adaptune.search.callbacks.stop_signal import StopSignalCallback
from adaptune.signals import StopRequest, stop_on_signals


def test_a_signal_that_tune_has_dropped_ends_the_search_at_the_next_step() -> None:
    callback = StopSignalCallback()
    with stop_on_signals():
        callback.on_step_end(0, [])
        drop_signal()
        with pytest.raises(StopRequest) as caught:
            callback.on_step_end(1, [])
    assert caught.value.signal_number == signal.SIGTERM
