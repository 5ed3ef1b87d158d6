from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.spec.schema import TrialSpec
from adaptune.training import calibration as module
from adaptune.training.calibration import MIN_UPDATES, Calibration, calibrate
from adaptune.training.calibration_data import DataSizes
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.loop import fit

SIZES = DataSizes(classes=3, source_train=14, source_val=6, target_train=11, target_val=9)


class FakeClock:
    """A clock that only the update of a trial moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPDATES_S", 0.01)


def trains_a_gan(trials: Any) -> bool:
    """Return False for the settings without a GAN, which are measured as well."""
    return bool(trials[0].state.spec.loss_weights.adversarial)


def slow_updates(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, seconds: Callable[[int], float]
) -> list[int]:
    """Let update `n`, from 1, take `seconds(n)`; return a list of the updates."""
    updates: list[int] = []
    train = EpochTrainer.train

    def slow_train(self: EpochTrainer, epoch: int, trials: Any) -> bool:
        if trains_a_gan(trials):
            updates.append(epoch)
            clock.now += seconds(epoch)
        return train(self, epoch, trials)

    monkeypatch.setattr(EpochTrainer, "train", slow_train)
    return updates


def losses(spec: TrialSpec) -> list[dict[str, float]]:
    records = fit(spec, make_data(), make_source_weights(spec), device=CPU, health=True)
    return [{**record.losses, **record.validators} for record in records]


def test_a_trial_is_the_same_with_and_without_a_calibration() -> None:
    spec = make_spec(dropout=0.5, **WITH_MEMORY)
    before = losses(spec)
    calibrate(spec, SIZES, CPU)
    assert losses(spec) == before


def test_random_numbers_and_settings_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state: Any = np.random.get_state()
    calibrate(make_spec(dropout=0.5, tf32=True, **WITH_MEMORY), SIZES, CPU)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    numpy_state_after: Any = np.random.get_state()
    assert np.array_equal(numpy_state_after[1], numpy_state[1])
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark


def test_all_durations_and_the_memory_are_measured() -> None:
    calibration = calibrate(make_spec(), SIZES, CPU)
    durations = {name: value for name, value in vars(calibration).items() if name.endswith("_s")}
    assert len(durations) == 7
    assert all(value > 0 for value in durations.values()), durations
    assert calibration.wall_s == max(durations.values())
    assert 10**8 < calibration.memory_bytes < calibration.available_bytes
    assert not calibration.is_on_gpu


def test_the_trials_of_a_group_are_updated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    step = module.EpochTrainer.train

    def train(self: Any, epoch: int, trials: Any) -> bool:
        if trains_a_gan(trials):
            sizes.append(len(trials))
        return step(self, epoch, trials)

    monkeypatch.setattr(EpochTrainer, "train", train)
    calibrate(make_spec(batch_size=4), SIZES, CPU, trials=3)
    assert set(sizes) == {3}


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_a_worker_trains_its_share_of_a_batch(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    step = module.EpochTrainer.train

    def train(self: Any, epoch: int, trials: Any) -> bool:
        if trains_a_gan(trials):
            sizes.append(trials[0].state.spec.training.batch_size)
        return step(self, epoch, trials)

    monkeypatch.setattr(EpochTrainer, "train", train)
    calibrate(make_spec(method=method, batch_size=4), SIZES, CPU, workers=2)
    assert set(sizes) == {2}


def test_an_update_is_the_mean_of_some_after_the_first(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(module, "UPDATES_S", 1.5)
    updates = slow_updates(monkeypatch, clock, lambda update: 60.0 if update == 1 else 0.25)
    calibration = calibrate(make_spec(), SIZES, CPU, clock=clock)
    assert calibration.step_s == 0.25
    assert len(updates) == 1 + 6


@pytest.mark.parametrize(("seconds", "timed"), [(1.0, MIN_UPDATES), (100.0, 1)])
def test_few_slow_updates_are_enough(
    seconds: float, timed: int, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(module, "UPDATES_S", 1.5)
    updates = slow_updates(monkeypatch, clock, lambda _: seconds)
    assert calibrate(make_spec(), SIZES, CPU, clock=clock).step_s == seconds
    assert len(updates) == 1 + timed


def test_an_update_of_f_s_is_timed_without_the_network_that_is_built_first(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    def train(spec: TrialSpec, *_: Any, load_pretrained: bool) -> None:
        assert not load_pretrained
        clock.now += 2.0 + 0.5 * spec.training.source.steps

    slow_updates(monkeypatch, clock, lambda _: 1.0)
    monkeypatch.setattr(module, "train_supervised", train)
    assert calibrate(make_spec(), SIZES, CPU, clock=clock).source_step_s == 0.5


def test_without_a_semantic_term_f_s_predicts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("adaptune.training.steps.batch.predict_labels")
    assert calibrate(make_spec(loss_weights={"semantic": 0.0}), SIZES, CPU).labels_s == 0.0


def test_labelled_target_images_are_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    terms: set[str] = set()
    step = module.EpochTrainer.train

    def train(self: Any, epoch: int, trials: Any) -> bool:
        is_complete = step(self, epoch, trials)
        terms.update(trials[0].meter.means())
        return is_complete

    monkeypatch.setattr(EpochTrainer, "train", train)
    calibrate(make_spec(train_labels=2, loss_weights={"task_target": 1.0}), SIZES, CPU)
    assert "task_target" in terms


def test_large_data_takes_more_time_but_no_more_images(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(module, "VALIDATOR_SAMPLES", 40)
    slow_updates(monkeypatch, clock, lambda _: 1.0)

    def move_on(function: Callable[..., Any], seconds: Callable[..., float]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            clock.now += seconds(*arguments)
            return function(*arguments)

        return slow

    # Seconds: 1 per 100 predictions, and the square of the number of samples for the validators.
    by_images = move_on(module.predict_all, lambda _, images: len(images) / 100)
    by_square = move_on(module.score_all, lambda inputs: len(inputs.source_logits) ** 2 / 1000)
    monkeypatch.setattr(module, "predict_all", by_images)
    monkeypatch.setattr(module, "score_all", by_square)
    large = replace(SIZES, source_val=4000, target_val=2000)
    calibration: Calibration = calibrate(make_spec(), large, CPU, clock=clock)
    assert calibration.evaluation_s == pytest.approx(60 + 4000**2 / 1000)
