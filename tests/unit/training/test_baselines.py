from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_trial import (
    CLASSES,
    CPU,
    WITH_MEMORY,
    make_batch,
    make_data,
    make_source_weights,
    make_spec,
    make_state,
)
from support.two_workers import run_two_workers

from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData
from adaptune.spec.baselines import BaselineSetting, baseline_settings
from adaptune.spec.schema import TrialSpec
from adaptune.spec.training import SourceClassifierSpec
from adaptune.training.augment.fourier import fourier_adapted
from adaptune.training.baselines import (
    Candidate,
    source_candidate,
    train_on_target,
    train_without_gan,
)
from adaptune.training.loop import fit
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict
from adaptune.training.steps.cycada import cycada_step

METRIC = "target_val_accuracy"
FDA = "task 1, fourier beta 0.1"


def same(first: StateDict, second: StateDict) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def without_times(record: EpochRecord) -> EpochRecord:
    """Return a record without times, and without validators, which a baseline may not need."""
    return replace(record, train_s=0.0, eval_s=0.0, validators={})


def settings(**training: Any) -> list[tuple[BaselineSetting, TrialSpec]]:
    spec = make_spec(**WITH_MEMORY | training)
    return [(setting, setting.trial(spec)) for setting in baseline_settings(spec)]


def train(
    *specs: TrialSpec, metric: str = METRIC, data: TrialData | None = None
) -> list[Candidate]:
    data = data or make_data()
    weights = make_source_weights(specs[0])
    candidates = []
    epochs = specs[0].training.epochs
    for candidate in train_without_gan(
        specs, data, weights, device=CPU, metric=metric, epochs=epochs
    ):
        assert candidate is not None
        candidates.append(candidate)
    return candidates


def with_other_labels() -> TrialData:
    data = make_data()
    return replace(data, source_train_labels=(data.source_train_labels + 1) % CLASSES)


def test_a_baseline_has_the_best_epoch_of_the_trial_that_it_is() -> None:
    for _, spec in settings(dropout=0.5):
        records = list(fit(spec, make_data(), make_source_weights(spec), device=CPU))
        best = max(records, key=lambda record: record.rank_key(METRIC))
        [candidate] = train(spec)
        assert without_times(candidate.record) == without_times(best)


def test_settings_that_train_side_by_side_have_the_numbers_that_they_have_alone() -> None:
    specs = [spec for _, spec in settings()]
    for together, spec in zip(train(*specs), specs, strict=True):
        [alone] = train(spec)
        assert without_times(alone.record) == without_times(together.record)
        assert same(alone.weights, together.weights)


def test_only_information_only_reads_no_label_of_the_source() -> None:
    for setting, spec in settings():
        [candidate] = train(spec, metric="ensemble")
        [other] = train(spec, metric="ensemble", data=with_other_labels())
        reads_none = setting.baseline == "information_only"
        assert same(candidate.weights, other.weights) is reads_none, setting


def test_an_objective_of_ranks_takes_the_last_epoch_as_in_a_trial() -> None:
    [candidate] = train(settings()[0][1], metric="ensemble")
    assert candidate.record.epoch == 4


def test_the_weights_are_those_that_were_scored() -> None:
    for adapt in (False, True):
        options: dict[str, Any] = {"adapt_batch_norm": adapt, "classifier_ema_decay": 0.9}
        spec = make_spec(size=32, classifier="dtn", semantic_gate=None, **options)
        trial = baseline_settings(spec)[1].trial(spec)
        [candidate] = train(trial, data=make_data(32), metric="infomax")
        plain = trial.training.model_copy(update={"adapt_batch_norm": False})
        fixed = trial.model_copy(update={"training": plain})
        scored = source_candidate(
            fixed, make_data(32), candidate.weights, device=CPU, metric=METRIC
        ).record
        assert scored.target_val_loss == candidate.record.target_val_loss


def test_a_setting_whose_terms_are_not_finite_has_no_result_and_ends_alone() -> None:
    [(_, fine), (_, broken), *_] = settings()
    training = broken.training.model_copy(update={"classifier_lr": 1e30})
    broken = broken.model_copy(update={"training": training})
    data, weights = make_data(), make_source_weights(fine)
    results = train_without_gan(
        [broken, fine], data, weights, device=CPU, metric=METRIC, epochs=training.epochs
    )
    assert results[0] is None
    assert results[1] is not None
    assert without_times(results[1].record) == without_times(train(fine)[0].record)


def test_information_only_runs_f_t_on_target_images_alone() -> None:
    setting, spec = settings()[0]
    assert setting.baseline == "information_only"
    state = make_state(spec)
    sizes: list[int] = []
    state.networks.f_t.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    [terms] = cycada_step([state], make_batch(spec, state))
    assert sizes == [4]
    assert list(terms) == ["information"]


def test_fda_learns_the_labels_from_fourier_translations() -> None:
    [spec] = [spec for setting, spec in settings(augment={}) if str(setting) == FDA]
    state = make_state(spec)
    batch = make_batch(spec, state)
    images: list[torch.Tensor] = []
    state.networks.f_t.register_forward_pre_hook(lambda _, inputs: images.append(inputs[0]))
    cycada_step([state], batch)
    assert torch.equal(images[0], fourier_adapted(batch.source, batch.target, 0.1))
    assert not torch.equal(images[0], batch.source)


def records_of_fda(rank: int, folder: Path) -> list[tuple[float, ...]]:
    [spec] = [spec for setting, spec in settings(batch_size=8) if str(setting) == FDA]
    records = fit(spec, make_data(), make_source_weights(spec), device=CPU)
    return [(record.losses["task"], *record.rank_key(METRIC)) for record in records]


@pytest.mark.slow
def test_two_workers_train_on_fourier_translations_as_one_does(tmp_path: Path) -> None:
    expected = records_of_fda(0, tmp_path)
    for records in run_two_workers(records_of_fda, tmp_path):
        torch.testing.assert_close(records, expected, rtol=0, atol=1e-4)


def test_f_s_is_epoch_0() -> None:
    spec = make_spec()
    weights = make_source_weights(spec)
    candidate = source_candidate(spec, make_data(), weights, device=CPU, metric=METRIC)
    assert candidate.record.epoch == 0
    assert same(candidate.weights, weights)


def supervised(lr: float = 1e-3, **training: Any) -> Candidate | None:
    spec = make_spec(epochs=3, **training)
    source = SourceClassifierSpec(steps=7, batch_size=4).model_copy(update={"lr": lr})
    changed = spec.training.model_copy(update={"source": source})
    data = make_data()
    labels = np.arange(11) % CLASSES
    images = DeviceImages(data.target_train_images, labels, CPU)
    spec = spec.model_copy(update={"training": changed})
    return train_on_target(spec, images, data, metric=METRIC)


def test_the_upper_bound_is_scored_as_often_as_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[EpochRecord] = []
    original = EpochRecord.rank_key

    def rank_key(record: EpochRecord, metric: str) -> tuple[float, ...]:
        if record not in records:
            records.append(record)
        return original(record, metric)

    monkeypatch.setattr(EpochRecord, "rank_key", rank_key)
    candidate = supervised()
    assert candidate is not None
    assert {record.epoch for record in records} == {1, 2, 3}
    best = max(records, key=lambda record: original(record, METRIC))
    assert candidate.record == best


def test_the_upper_bound_has_the_moving_average_and_the_precision_of_f_t() -> None:
    plain = supervised()
    assert plain is not None
    for option in ({"classifier_ema_decay": 0.9}, {"precision": "bf16"}):
        other = supervised(**option)
        assert other is not None
        assert not same(plain.weights, other.weights), option


def test_an_upper_bound_that_is_not_finite_has_no_result() -> None:
    assert supervised(lr=1e30) is None
