from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_run import PLAN, make_run, make_splits, make_tiny_search, printed
from support.fake_search import make_record
from support.stop_signals import drop_signal, stop_of
from support.tiny_trial import CLASSES, CPU, make_data, make_source_weights

from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED
from adaptune.errors import NodesLostError, NonFiniteLossError, TaskTimeoutError
from adaptune.evaluation import baselines as module
from adaptune.evaluation.baseline_choice import Baselines
from adaptune.evaluation.baselines import (
    baseline_stages,
    note_f_s,
    task_shape,
    train_baselines,
)
from adaptune.execution.base import SharedRefs
from adaptune.spec.resources import WorkerResources
from adaptune.study.baseline_objectives import known_baseline_objectives
from adaptune.training.baselines import Candidate
from adaptune.training.batch_norm import adapted_weights
from adaptune.training.source_classifier import train_source_classifier
from adaptune.training.state import StateDict

F_S = "scores of f_S, 1 CPU"
SUPERVISED = "baseline target_supervised, 1 CPU"
WITHOUT_GAN = [
    "baselines without a GAN, 1 epochs, 1 of 2, 1 CPU",
    "baselines without a GAN, 1 epochs, 2 of 2, 1 CPU",
    "baselines without a GAN, 2 epochs, 1 of 2, 1 CPU",
    "baselines without a GAN, 2 epochs, 2 of 2, 1 CPU",
]
KEYS = {"information_only", "no_gan", "fda"}


def equal(first: StateDict, second: StateDict) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_no_baseline_is_trained_unless_it_is_wanted(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path)
    assert train_baselines(run, run.spec.trial({}), False) == Baselines()
    assert run.tasks.submitted == []


@pytest.mark.parametrize(
    ("wanted", "domain", "names"),
    [
        ("auto", "noise", [F_S, SUPERVISED, *WITHOUT_GAN]),
        ("auto", "parquet:target.parquet", [F_S, *WITHOUT_GAN]),
        (True, "parquet:target.parquet", [F_S, SUPERVISED, *WITHOUT_GAN]),
    ],
)
def test_auto_trains_the_upper_bound_for_built_in_data_only(
    tmp_path: Path, wanted: Any, domain: str, names: list[str]
) -> None:
    run: Any = make_run(tmp_path, make_tiny_search(domain))
    baselines = train_baselines(run, run.spec.trial({}), wanted)
    assert run.tasks.submitted == names
    expected = KEYS | {"target_supervised"} if SUPERVISED in names else KEYS
    assert baselines.weights.keys() == baselines.selected.keys() == expected


@pytest.mark.parametrize(
    ("trials", "workers", "cpus", "gpus", "shape"),
    [
        (1, 2, 1, 0.0, (2, 1)),
        (3, 2, 4, 1.0, (6, 4)),
        (1, 1, 5, 0.0, (2, 2)),  # one trial has all CPUs
        (1, 1, 5, 1.0, (1, 5)),
        (1, 1, 1, 0.0, (1, 1)),
    ],
)
def test_tasks_train_side_by_side_as_far_as_the_cluster_has_room(
    trials: int, workers: int, cpus: int, gpus: float, shape: tuple[int, int]
) -> None:
    resources = WorkerResources(workers=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    plan = replace(PLAN, resources=resources, max_concurrent_trials=trials)
    assert task_shape(plan) == shape


def test_all_settings_train_for_a_quarter_of_the_epochs_and_the_best_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int]] = []

    def train(specs: Any, *arguments: Any, epochs: int, **options: Any) -> list[Candidate]:
        candidates = []
        for spec in specs:
            value = (
                spec.loss_weights.feature + spec.loss_weights.confusion - spec.training.fourier_beta
            )
            accuracy = value / 2 if epochs == 2 else 0.5
            trained.append((f"{value:.2f}", epochs))
            candidates.append(Candidate(make_record(epochs, accuracy), {}))
        return candidates

    monkeypatch.setattr(module, "train_without_gan", train)
    run: Any = make_run(tmp_path)
    spec = run.spec.trial({})
    longer = spec.training.model_copy(update={"epochs": 8})
    train_baselines(run, spec.model_copy(update={"training": longer}), True)
    values = [
        "-0.05",
        "-0.10",
        "0.00",
        "0.00",
        "0.00",
        "0.10",
        "0.20",
        "0.30",
        "1.00",
        "1.20",
        "1.30",
    ]
    assert sorted(trained) == sorted(
        [(value, 2) for value in values] + [(value, 8) for value in values[-2:]]
    )


def test_a_short_trial_is_trained_once() -> None:
    assert baseline_stages(8, 1) == [(8, 1)]
    assert baseline_stages(2, 40) == [(2, 40)]
    assert baseline_stages(8, 40) == [(8, 10), (2, 40)]


def test_the_number_of_tasks_changes_no_baseline(tmp_path: Path) -> None:
    baselines = []
    run: Any = make_run(tmp_path)
    for trials in (1, 4):
        run = replace(run, plan=replace(PLAN, max_concurrent_trials=trials))
        baselines.append(train_baselines(run, run.spec.trial({}), "auto"))
    first, second = baselines
    assert first.selected == second.selected
    for name, weights in first.weights.items():
        assert equal(weights, second.weights[name])


def test_without_labels_left_for_training_there_is_no_upper_bound(tmp_path: Path) -> None:
    splits = make_splits()
    unlabelled = np.full_like(splits.withheld.target_train_labels, UNLABELLED)
    withheld = replace(splits.withheld, target_train_labels=unlabelled)
    run: Any = make_run(tmp_path, splits=replace(splits, withheld=withheld))
    assert "target_supervised" not in train_baselines(run, run.spec.trial({}), True).weights
    assert "target supervised is left out: all labelled" in printed(run.console)


def test_the_upper_bound_is_trained_on_labelled_images_only(tmp_path: Path) -> None:
    splits = make_splits()
    withheld = splits.withheld
    labelled = np.arange(1, len(withheld.target_train_labels), 2)
    labels = np.full_like(withheld.target_train_labels, UNLABELLED)
    labels[labelled] = withheld.target_train_labels[labelled]
    partly_labelled = replace(withheld, target_train_labels=labels)
    only_labelled = replace(
        withheld,
        target_train_images=withheld.target_train_images.subset(labelled),
        target_train_labels=withheld.target_train_labels[labelled],
    )
    weights = []
    for data in (partly_labelled, only_labelled):
        run = make_run(tmp_path, splits=replace(splits, withheld=data))
        baselines = train_baselines(run, run.spec.trial({}), True)
        weights.append(baselines.weights["target_supervised"])
    assert equal(*weights)


def with_batch_norm(path: Path, *, adapt: bool) -> Any:
    """A run of a classifier with batch norm, whose f_S has random weights."""
    form = {"domain": "noise", "size": 32, "channels": 1}
    source = {"steps": 2, "batch_size": 4}
    training = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "source": source}
    spec = make_tiny_search(
        data={"source": form, "target": form},
        model={"classifier": {"name": "dtn"}},
        training=training | {"adapt_batch_norm": adapt},
    )
    splits = make_splits()
    data = make_data(32)
    withheld = replace(splits.withheld, target_train_images=data.target_train_images)
    splits = replace(splits, trial=data, withheld=withheld)
    weights = make_source_weights(spec.trial({}))
    run = make_run(path, spec, splits=splits)
    return replace(run, source_weights=weights, shared=SharedRefs(data, weights))


def statistics(weights: StateDict) -> StateDict:
    return {name: value for name, value in weights.items() if "running" in name}


def test_all_baselines_get_the_batch_norm_statistics_of_the_target(tmp_path: Path) -> None:
    run = with_batch_norm(tmp_path, adapt=True)
    baselines = train_baselines(run, run.spec.trial({}), True)
    assert baselines.weights.keys() == KEYS | {"source_only", "target_supervised"}
    source_only = statistics(baselines.weights["source_only"])
    assert not equal(source_only, statistics(run.source_weights))
    images = DeviceImages(run.splits.trial.target_train_images, None, CPU)
    for name, weights in baselines.weights.items():
        adapted = adapted_weights(run.spec.trial({}), weights, images, CLASSES)
        for key, value in statistics(weights).items():
            torch.testing.assert_close(value, adapted[key], msg=name)


def test_source_only_gets_the_statistics_even_if_no_baseline_is_trained(tmp_path: Path) -> None:
    run = with_batch_norm(tmp_path, adapt=True)
    baselines = train_baselines(run, run.spec.trial({}), False)
    assert run.tasks.submitted == [F_S]
    assert list(baselines.weights) == ["source_only"]
    assert baselines.best is None


def test_f_s_is_scored_once_for_the_comparison_with_running_trials(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path)
    note_f_s(run)
    assert run.tasks.submitted == [F_S]
    labels = run.splits.trial.target_val_labels
    expected = {"source_only": pytest.approx((labels == 1).mean())}  # f_S predicts class 1
    assert known_baseline_objectives(run.study) == expected
    note_f_s(run)
    assert run.tasks.submitted == [F_S]
    note_f_s(replace(run, inputs=replace(run.inputs, source_classifier="another")))
    assert run.tasks.submitted == [F_S] * 2


def test_ranks_of_trials_are_not_compared_with_f_s(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path, make_tiny_search(search={"metric": "ensemble"}))
    note_f_s(run)
    assert run.tasks.submitted == []


def failing_run(path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Any:
    """A run whose tasks fail."""

    def fail(*_: object) -> None:
        raise error

    run: Any = make_run(path)
    monkeypatch.setattr(run.tasks, "results", fail)
    return run


@pytest.mark.parametrize("error", [TaskTimeoutError("too long"), NonFiniteLossError("a logit")])
def test_a_search_continues_without_the_score_of_f_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run = failing_run(tmp_path, monkeypatch, error)
    note_f_s(run)
    assert known_baseline_objectives(run.study) == {}


def test_a_signal_that_kills_the_task_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failing_run(tmp_path, monkeypatch, RuntimeError("the task died"))

    def stop() -> None:
        drop_signal()
        note_f_s(run)

    assert stop_of(stop).signal_number == signal.SIGTERM


def test_a_cluster_without_room_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failing_run(tmp_path, monkeypatch, NodesLostError("no room"))
    with pytest.raises(NodesLostError):
        note_f_s(run)


def with_colours(path: Path) -> Any:
    """Return a run whose f_S learns in the colours of the target."""
    source = {"steps": 2, "batch_size": 4, "fourier_beta": 0.1}
    training = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "source": source}
    return make_run(path, make_tiny_search(training=training))


@pytest.mark.parametrize("wanted", [True, False])
def test_source_only_learns_without_the_colours_of_the_target(tmp_path: Path, wanted: bool) -> None:
    run = with_colours(tmp_path)
    spec = run.spec.trial({})
    baselines = train_baselines(run, spec, wanted)
    data = run.splits.trial
    plain = train_source_classifier(spec, data, CPU, in_target_colours=False)
    assert equal(baselines.weights["source_only"], plain)
    assert not equal(plain, train_source_classifier(spec, data, CPU))
    assert (baselines.best is not None) == wanted
    note_f_s(run)
    assert known_baseline_objectives(run.study).keys() == {"f_s"}
