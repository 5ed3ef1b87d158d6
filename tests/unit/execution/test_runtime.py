from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError
from adaptune.execution import runtime as module
from adaptune.execution.runtime import TrialJob, WorkerRuntime
from adaptune.training.steps.batch import TrainingImages


@pytest.fixture
def runtime() -> WorkerRuntime:
    return WorkerRuntime(make_data(), make_source_weights(make_spec()), CPU)


@pytest.fixture
def fit_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call of `fit`, which trains nothing."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def fit(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        calls.append((arguments, keywords))
        return iter(())

    monkeypatch.setattr(module, "fit", fit)
    return calls


@pytest.fixture
def tf32() -> Iterator[None]:
    """Restores torch's settings."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_a_runtime_trains_the_epochs_of_a_job_and_keeps_their_checkpoints(
    runtime: WorkerRuntime, job: TrialJob
) -> None:
    epochs = [record.epoch for record in runtime.records(job)]
    assert epochs == [1, 2]
    assert job.checkpoints.epochs() == [1, 2]


def test_the_labels_of_f_s_are_predicted_once_for_all_trials(
    runtime: WorkerRuntime, job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions: list[TrainingImages] = []

    def training_images(*arguments: Any, **options: Any) -> TrainingImages:
        predictions.append(TrainingImages(*arguments, **options))
        return predictions[-1]

    monkeypatch.setattr(module, "TrainingImages", training_images)
    first = next(runtime.records(job))
    elsewhere = replace(job.checkpoints, path=f"{job.checkpoints.path}-2")
    second = next(runtime.records(replace(job, number=4, checkpoints=elsewhere)))
    assert len(predictions) == 1
    assert second.losses == first.losses  # the trial before leaves no trace


def test_a_trial_that_fails_leaves_the_runtime_usable(
    runtime: WorkerRuntime, job: TrialJob
) -> None:
    overflowing = replace(job, spec=make_spec(epochs=1, steps_per_epoch=1, init_gain=1e30))
    with pytest.raises(NonFiniteLossError, match="step"):
        next(runtime.records(overflowing))
    assert next(runtime.records(job)).epoch == 1


def test_a_runtime_hands_the_whole_job_to_the_training_loop(
    runtime: WorkerRuntime, job: TrialJob, fit_calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
) -> None:
    def is_preempted() -> bool:
        return False

    list(runtime.records(replace(job, metric="snd", check_health=True), is_preempted))
    [(arguments, keywords)] = fit_calls
    assert arguments[0] == job.spec
    assert isinstance(keywords.pop("images"), TrainingImages)
    assert keywords == {
        "device": CPU,
        "checkpoints": job.checkpoints,
        "metric": "snd",
        "health": True,
        "is_preempted": is_preempted,
    }


@pytest.mark.usefixtures("fit_calls", "tf32")
@pytest.mark.parametrize("enabled", [True, False])
def test_a_trial_sets_the_precision_of_matrix_products_for_itself(
    runtime: WorkerRuntime, job: TrialJob, enabled: bool
) -> None:
    for value in (not enabled, enabled):  # the trial before had it the other way round
        runtime.records(replace(job, spec=make_spec(tf32=value)))
    assert torch.backends.cuda.matmul.allow_tf32 is enabled
    assert torch.backends.cudnn.allow_tf32 is enabled


@pytest.mark.parametrize(("device", "calls"), [("cpu", 0), ("cuda", 1)])
def test_memory_is_released_on_gpus(
    device: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[None] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: released.append(None))
    runtime = WorkerRuntime(make_data(), {}, torch.device(device))
    runtime.release_memory()
    assert len(released) == calls


def test_a_job_survives_the_way_to_a_worker(job: TrialJob) -> None:
    assert pickle.loads(pickle.dumps(job)) == job
