from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console
from support.fake_search import make_record, make_search

from adaptune.search.callbacks.console import ConsoleCallback
from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.record import HealthReport

CONFIG = TrialConfig(0, {"loss_weights.cycle": 2.0, "loss_weights.identity": 0.12345})


class Output:
    """A console callback on a study, and the lines that it prints."""

    def __init__(self, study: SearchStudy) -> None:
        self._file = io.StringIO()
        clock: Iterator[float] = iter([100.0, 112.4, 125.0])
        self.callback = ConsoleCallback(
            Console(file=self._file, width=40),
            study,
            Objective(study.metric),
            trials=20,
            epochs=9,
            clock=lambda: next(clock),
        )

    @property
    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()


def make_study(metric: str = "target_val_accuracy") -> SearchStudy:
    return create_study(make_search(search={"metric": metric}))


def test_each_epoch_is_one_line_with_the_best_so_far() -> None:
    output = Output(make_study())
    output.callback.on_epoch(CONFIG, make_record(1, 0.897))
    output.callback.on_epoch(CONFIG, make_record(10, 0.5))
    assert output.lines == [
        "    12s  trial   0/20  epoch  1/9  target_val 89.7%  best 89.7%  cycle=2 identity=0.123",
        "    25s  trial   0/20  epoch 10/9  target_val 50.0%  best 89.7%  cycle=2 identity=0.123",
    ]


def test_the_best_of_earlier_sessions_counts() -> None:
    study = make_study()
    study.add_epoch(study.ask(), make_record(1, 0.95), 0.95)
    output = Output(study)
    output.callback.on_epoch(CONFIG, make_record(1, 0.5))
    assert "target_val 50.0%  best 95.0%" in output.lines[0]


def test_a_negative_validator_has_a_best_value_too() -> None:
    output = Output(make_study("entropy"))
    output.callback.on_epoch(CONFIG, make_record(1, 0.5, validators={"entropy": -0.25}))
    assert "entropy -0.2500  best -0.2500" in output.lines[0]


def test_next_to_a_validator_the_accuracy_is_printed_if_there_are_labels() -> None:
    output = Output(make_study("infomax"))
    record = make_record(1, 0.75, validators={"infomax": 0.5})
    output.callback.on_epoch(CONFIG, record)
    output.callback.on_epoch(CONFIG, replace(record, target_val_accuracy=None))
    labelled, unlabelled = output.lines
    assert "infomax 0.5000  best 0.5000  target_val 75.0%  cycle=2" in labelled
    assert "infomax 0.5000  best 0.5000  cycle=2" in unlabelled


def test_the_ensemble_is_printed_as_a_rank_among_all_epochs() -> None:
    output = Output(make_study("ensemble"))
    output.callback.on_epoch(CONFIG, make_record(1, 0.2))
    output.callback.on_epoch(CONFIG, make_record(2, 0.4))
    assert "ensemble 0.5000  best 0.5000" in output.lines[0]
    assert "ensemble 0.7500  best 0.7500" in output.lines[1]


@pytest.mark.parametrize(
    ("error", "message"), [(None, []), ("step 3: nan", ["         trial 0 failed: step 3: nan"])]
)
def test_a_failure_is_printed(error: str | None, message: list[str]) -> None:
    study = make_study()
    study.tell_result(study.ask(), epochs=9, error=error, wall_s=None)
    output = Output(study)
    output.callback.on_trial_end(CONFIG)
    assert output.lines == message


def test_a_symptom_is_printed_in_one_line_however_narrow_the_terminal() -> None:
    study = make_study()
    trial = study.ask()
    symptom = "label flip: the digits seem swapped, 4 as 9, 9 as 4"
    health = HealthReport(1.0, 1.0, 0.0, 1.0, "", unhealthy=symptom)
    study.add_epoch(trial, make_record(1, 0.5, health=health), 0.5)
    study.tell_result(trial, epochs=9, error=None, wall_s=None)
    output = Output(study)
    output.callback.on_trial_end(CONFIG)
    assert output.lines == [f"         trial 0 is unhealthy: {symptom}"]


def test_a_requeued_trial_is_printed_with_the_reason() -> None:
    study = make_study()
    study.ask()
    output = Output(study)
    requeued = GroupResult(requeue_reason="no room", done=True)
    output.callback.on_group_end(GroupConfig((CONFIG,), leader=0), requeued)
    assert output.lines == ["         trial 0 waits for workers: no room"]


def test_a_requeued_group_is_printed_with_the_numbers_of_its_running_trials() -> None:
    output = Output(make_study())
    trials = (CONFIG, TrialConfig(3, {}), TrialConfig(4, {}))
    requeued = GroupResult(requeue_reason="no room", done=True)
    output.callback.on_group_end(GroupConfig(trials, 0, ended=frozenset({3})), requeued)
    assert output.lines == ["         group of trials 0, 4 waits for workers: no room"]
