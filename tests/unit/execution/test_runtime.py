from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.errors import NonFiniteLossError
from adaptune.execution import runtime as module
from adaptune.execution.runtime import GroupJob, TrialJob, WorkerRuntime
from adaptune.training.group import GroupTrial
from adaptune.training.loop import Outcome
from adaptune.training.record import EpochRecord
from adaptune.training.steps import batch
from adaptune.training.steps.batch import TrainingImages, predict_labels


def record_of(outcomes: dict[int, Outcome], number: int = 3) -> EpochRecord:
    outcome = outcomes[number]
    assert isinstance(outcome, EpochRecord)
    return outcome


@pytest.fixture
def runtime() -> WorkerRuntime:
    return WorkerRuntime(make_data(), make_source_weights(make_spec()), CPU)


@pytest.fixture
def fit_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call of `fit_group`, which trains nothing."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def fit_group(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        calls.append((arguments, keywords))
        return iter(())

    monkeypatch.setattr(module, "fit_group", fit_group)
    return calls


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[DeviceImages]:
    """The images whose labels f_S has predicted."""
    images_of_calls: list[DeviceImages] = []

    def predict(f_s: nn.Module, images: DeviceImages) -> torch.Tensor:
        images_of_calls.append(images)
        return predict_labels(f_s, images)

    monkeypatch.setattr(batch, "predict_labels", predict)
    return images_of_calls


@pytest.fixture
def backends() -> Iterator[None]:
    """Restores torch's settings."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    yield
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def test_a_runtime_trains_the_epochs_of_a_job_and_keeps_their_checkpoints(
    runtime: WorkerRuntime, job: GroupJob
) -> None:
    epochs = [record_of(outcomes).epoch for outcomes in runtime.outcomes(job)]
    assert epochs == [1, 2]
    assert job.trials[0].checkpoints.epochs() == [1, 2]


def test_each_trial_of_a_group_is_reported_until_it_is_stopped(
    runtime: WorkerRuntime, group: GroupJob
) -> None:
    stopped: set[int] = set()
    numbers = []
    for outcomes in runtime.outcomes(group, stopped):
        numbers.append(set(outcomes))
        stopped.add(max(outcomes))
    assert numbers == [{3, 5, 6}, {3, 5}, {3}]


def test_the_labels_of_f_s_are_predicted_once_for_all_trials(
    runtime: WorkerRuntime, job: GroupJob, next_job: GroupJob, predicted: list[DeviceImages]
) -> None:
    first = record_of(next(runtime.outcomes(job)))
    second = record_of(next(runtime.outcomes(next_job)), number=4)
    assert len(predicted) == 2  # the images of both domains
    assert second.losses == first.losses  # the trial before leaves no trace


def test_the_labels_of_f_s_are_predicted_for_the_first_trial_that_reads_them(
    runtime: WorkerRuntime, trial: TrialJob, next_job: GroupJob, predicted: list[DeviceImages]
) -> None:
    without = replace(trial, spec=make_spec(loss_weights={"semantic": 0.0}))
    assert "semantic" not in record_of(next(runtime.outcomes(GroupJob((without,))))).losses
    assert predicted == []
    assert "semantic" in record_of(next(runtime.outcomes(next_job)), number=4).losses
    assert len(predicted) == 2


def test_a_trial_that_fails_leaves_the_runtime_usable(
    runtime: WorkerRuntime, job: GroupJob, trial: TrialJob
) -> None:
    overflowing = make_spec(epochs=1, steps_per_epoch=1, init_gain=1e30)
    [outcomes] = runtime.outcomes(GroupJob((replace(trial, spec=overflowing),)))
    assert isinstance(outcomes[3], NonFiniteLossError)
    assert "step" in str(outcomes[3])
    assert record_of(next(runtime.outcomes(job))).epoch == 1


def test_a_runtime_hands_the_whole_job_to_the_training_loop(
    runtime: WorkerRuntime,
    group: GroupJob,
    fit_calls: list[tuple[tuple[Any, ...], dict[str, Any]]],
) -> None:
    def is_preempted() -> bool:
        return False

    trials = [replace(trial, metric="snd", check_health=True) for trial in group.trials]
    stopped = {5}
    list(runtime.outcomes(GroupJob(tuple(trials)), stopped, is_preempted))
    [(arguments, keywords)] = fit_calls
    expected = {trial.number: GroupTrial(trial.spec, trial.checkpoints) for trial in trials}
    assert list(arguments[0].items()) == list(expected.items())
    assert keywords.pop("stopped") is stopped  # the caller adds to it
    assert isinstance(keywords.pop("images"), TrainingImages)
    assert keywords == {
        "device": CPU,
        "metric": "snd",
        "health": True,
        "is_preempted": is_preempted,
    }


@pytest.mark.usefixtures("fit_calls", "backends")
@pytest.mark.parametrize("enabled", [True, False])
def test_a_trial_sets_the_precision_of_matrix_products_for_itself(
    runtime: WorkerRuntime, trial: TrialJob, enabled: bool
) -> None:
    for value in (not enabled, enabled):  # the trial before had it the other way round
        runtime.outcomes(GroupJob((replace(trial, spec=make_spec(tf32=value)),)))
    assert torch.backends.cuda.matmul.allow_tf32 is enabled
    assert torch.backends.cudnn.allow_tf32 is enabled
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("device", "calls"), [("cpu", 0), ("cuda", 1)])
def test_memory_is_released_on_gpus(
    device: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[None] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: released.append(None))
    runtime = WorkerRuntime(make_data(), {}, torch.device(device))
    runtime.release_memory()
    assert len(released) == calls


def test_a_job_survives_the_way_to_a_worker(group: GroupJob) -> None:
    assert pickle.loads(pickle.dumps(group)) == group


def test_a_job_without_some_trials_keeps_the_order_of_the_others(group: GroupJob) -> None:
    remaining = group.without({3, 99})
    assert [trial.number for trial in remaining.trials] == [5, 6]
    assert (group.number, remaining.number) == (3, 5)
    assert group.without({3, 5, 6}).trials == ()


def test_a_job_is_named_by_its_trials(job: GroupJob, group: GroupJob) -> None:
    assert (job.name, group.name) == ("trial 3", "trials 3, 5, 6")
