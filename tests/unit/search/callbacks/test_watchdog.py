from __future__ import annotations

import io
from typing import Any

import pytest
from ray.tune.experiment import Trial
from rich.console import Console
from support.fake_search import FakeTrial, make_config, make_result

from adaptune.execution.watchdog import START_S, Watchdog
from adaptune.search.callbacks import watchdog as watchdog_module
from adaptune.search.callbacks.watchdog import WatchdogCallback, kill_process
from adaptune.search.protocol import GroupResult

BOUND_S = 5.0


class Loop:
    """Tune's loop with one trial, whose steps take a second each."""

    def __init__(self) -> None:
        self.now = 0.0
        self.killed: list[object] = []
        self.text = io.StringIO()
        self.trial = FakeTrial("tune-1", make_config(7))
        console = Console(file=self.text, width=40)
        watchdog = Watchdog(BOUND_S, clock=lambda: self.now)
        self.callback = WatchdogCallback(console, watchdog, self.killed.append)

    def happens(self, hook: str, **options: Any) -> None:
        getattr(self.callback, hook)(1, [self.trial], self.trial, **options)

    def runs(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            self.callback.on_step_end(1, [self.trial])


@pytest.fixture
def loop() -> Loop:
    loop = Loop()
    loop.happens("on_trial_start")
    return loop


def test_the_process_of_a_silent_trial_is_killed_and_this_is_printed_in_one_line(
    loop: Loop,
) -> None:
    loop.happens("on_trial_result", result=make_result(1, 0.5, number=7))
    loop.runs(25)  # ten times the epoch of 2.5 s
    assert loop.killed == []
    loop.runs(1)
    assert loop.killed == [loop.trial]
    [line] = loop.text.getvalue().splitlines()
    assert line == (
        "         trial 7 has reported nothing for 26 s (25 s are allowed, see"
        " resources.epoch_timeout_s): its processes are replaced, and it resumes from its last"
        " checkpoint"
    )


def test_a_trial_that_has_not_reported_yet_has_time_to_start(loop: Loop) -> None:
    loop.runs(BOUND_S + START_S)
    assert loop.killed == []
    loop.runs(1)
    assert loop.killed == [loop.trial]


@pytest.mark.parametrize("hook", ["on_trial_complete", "on_trial_error", "on_trial_recover"])
def test_a_trial_that_has_ended_or_waits_for_another_process_is_not_watched(
    loop: Loop, hook: str
) -> None:
    loop.trial.last_result = GroupResult(done=True).to_tune()
    loop.happens(hook)
    loop.runs(2 * (BOUND_S + START_S))
    assert loop.killed == []


def test_a_trial_is_watched_again_in_its_next_process(loop: Loop) -> None:
    loop.happens("on_trial_recover")
    loop.happens("on_trial_start")
    loop.runs(BOUND_S + START_S + 1)
    assert loop.killed == [loop.trial]


def test_a_trial_that_the_process_of_an_ended_one_does_not_take_is_overdue_early() -> None:
    loop = Loop()
    loop.trial.status = Trial.PENDING
    loop.runs(2 * BOUND_S)
    assert loop.killed == []  # it waits for a process
    loop.trial.temporary_state.ray_actor = "actor"
    loop.runs(BOUND_S)
    assert loop.killed == []
    loop.runs(1)
    assert loop.killed == [loop.trial]


def test_the_actor_of_a_trial_of_tune_is_killed_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[object, bool]] = []

    def kill(actor: object, *, no_restart: bool) -> None:
        killed.append((actor, no_restart))

    monkeypatch.setattr(watchdog_module.ray, "kill", kill)
    trial = Trial("trainable", stub=True)
    actor: Any = type("Actor", (), {"get_auto_filled_metrics": Remote()})()
    trial.set_ray_actor(actor)
    kill_process(trial)
    assert killed == [(actor, True)]


class Remote:
    """A method of an actor."""

    def remote(self, *_: object, **__: object) -> None:
        """Return no reference."""
