from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.fake_calibration import WORKER
from support.fake_run import PLAN, make_tiny_search

from adaptune.spec.schema import SearchSpec
from adaptune.workflows.expected_epochs import ExpectedEpochs
from adaptune.workflows.pace import Pace, measured_pace, search_seconds

PACE = Pace(group_start_s=10, trial_s=2, epoch_s=5, before_s=20, after_s=30)
TRAINING = {"epochs": 10, "steps_per_epoch": 100, "batch_size": 4, "source": {"steps": 600}}
EPOCHS = ExpectedEpochs(trials=5, total=12, in_sequence=7)


def make_spec(**sections: Any) -> SearchSpec:
    return make_tiny_search("mnist5k", **{"training": TRAINING} | sections)


def pace(spec: SearchSpec, *, trains_source: bool = True, has_test: bool = True) -> Pace:
    return measured_pace(spec, PLAN, WORKER, trains_source=trains_source, has_test=has_test)


def test_a_search_takes_its_start_its_trials_side_by_side_and_its_end() -> None:
    plan = replace(PLAN, max_concurrent_trials=2)
    assert search_seconds(make_spec(), plan, EPOCHS, PACE) == 20 + 10 + 3 * 2 + 7 * 5 + 30


def test_new_workers_per_trial_start_again_and_again() -> None:
    spec = make_spec(resources={"reuse_workers": False})
    assert search_seconds(spec, PLAN, EPOCHS, PACE) == 20 + 5 * (10 + 2) + 7 * 5 + 30


def test_a_search_without_trials_left_starts_no_workers() -> None:
    ended = ExpectedEpochs(trials=0, total=0, in_sequence=0)
    assert search_seconds(make_spec(), PLAN, ended, PACE) == 20 + 30


def test_an_epoch_has_updates_an_evaluation_and_a_checkpoint() -> None:
    measured = pace(make_spec())
    assert measured.epoch_s == pytest.approx(100 * 0.1 + 0.5 + 0.1)
    assert measured.group_start_s == pytest.approx(3 * 3.0 + 2.0)  # Ray Train, and f_S's labels
    in_process = replace(PLAN, execution="in_process")
    alone = measured_pace(make_spec(), in_process, WORKER, trains_source=True, has_test=True)
    assert alone.group_start_s == pytest.approx(3.0 + 2.0)


def test_a_cached_source_classifier_takes_no_time() -> None:
    assert pace(make_spec()).before_s == pytest.approx(600 * 0.01)
    assert pace(make_spec(), trains_source=False).before_s == 0


@pytest.mark.parametrize(("has_test", "seconds"), [(True, 600 * 0.01), (False, 0.0)])
def test_source_only_is_trained_as_well_if_f_s_learns_the_colours_of_the_target(
    has_test: bool, seconds: float
) -> None:
    evaluation = {"baselines": False}
    plain = make_spec(evaluation=evaluation)
    source = {"steps": 600, "fourier_beta": 0.1}
    coloured = make_spec(evaluation=evaluation, training=TRAINING | {"source": source})
    extra_s = pace(coloured, has_test=has_test).after_s - pace(plain, has_test=has_test).after_s
    assert extra_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("baselines", "has_test", "seconds"),
    [
        # Two tasks train eleven settings for 3 epochs, the best two for 10, and the upper bound. An
        # epoch has 100 updates and an evaluation.
        (True, True, ((11 * 3 + 2 * 10) * (100 * 0.02 + 0.5) + 600 * 0.01 + 10 * 0.5) / 2),
        (False, True, 0.0),
        (True, False, 0.0),
    ],
)
def test_baselines_are_trained_side_by_side_if_there_is_a_test(
    baselines: Any, has_test: bool, seconds: float
) -> None:
    spec = make_spec(evaluation={"baselines": baselines})
    none = pace(make_spec(evaluation={"baselines": False})).after_s
    assert pace(spec, has_test=has_test).after_s - none == pytest.approx(seconds)


def test_compiled_networks_take_a_minute_per_start_of_a_worker_group() -> None:
    training = {"epochs": 10, "steps_per_epoch": 100, "batch_size": 4, "compile": True}
    compiled = pace(make_spec(training=training))
    plain = pace(make_spec())
    assert compiled.group_start_s - plain.group_start_s == 60
    assert compiled.trial_s == plain.trial_s
