from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError, PreemptedError
from adaptune.training import epoch_trainer
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import fit
from adaptune.training.record import EpochRecord
from adaptune.training.steps import generators

Fit = Callable[..., list[EpochRecord]]
# Everything with a memory: pools, averages, dropout, augmentation, both gates, decaying rates.
EVERYTHING: dict[str, Any] = {"dropout": 0.5} | WITH_MEMORY
# The teacher is a moving average, which a checkpoint must restore.
WITH_TEACHER: dict[str, Any] = {
    "loss_weights": {"consistency": 1.0, "confusion": 1.0},
    "consistency": {"threshold": 0.35, "mask": 0.3},
}
# Interrupted after 4 of 8 updates, before f_T is trained.
LATE: dict[str, Any] = {"classifier_from": 0.7, "freeze_head": True}
RESUMED: list[dict[str, Any]] = [
    {"method": "cycada"},
    {"method": "cyclegan"},
    WITH_TEACHER,
    LATE,
    LATE | {"classifier_from": 0.3},  # in the middle of an epoch
]


def without_seconds(records: list[EpochRecord]) -> list[EpochRecord]:
    return [replace(record, train_s=0.0, eval_s=0.0) for record in records]


def numbers(record: EpochRecord) -> dict[str, Any]:
    row = record.flat()
    return {key: value for key, value in row.items() if key not in ("train_s", "eval_s")}


def epochs_of(records: list[EpochRecord]) -> list[int]:
    return [record.epoch for record in records]


@pytest.mark.parametrize("options", RESUMED)
def test_interrupted_and_resumed_is_bit_exact(
    options: dict[str, Any], tmp_path: Path, run_fit: Fit
) -> None:
    spec = make_spec(**EVERYTHING | options)
    whole = CheckpointFolder(str(tmp_path / "whole"))
    halves = CheckpointFolder(str(tmp_path / "halves"))
    expected = run_fit(spec, whole)
    first = run_fit(spec, halves, stop_after=2)
    torch.manual_seed(999)  # a new process would have other random numbers
    second = run_fit(spec, halves)

    assert epochs_of(second) == [2, 3, 4]
    assert second[0] == first[-1]
    assert without_seconds(first + second[1:]) == without_seconds(expected)
    expected_end = whole.load(4)
    end = halves.load(4)
    for part in ("state", "pools"):
        torch.testing.assert_close(end[part], expected_end[part], rtol=0, atol=0)
    assert end["pools"][0]["source"].shape == (6, 1, 16, 16)


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
@pytest.mark.parametrize("steps", [1, 20, 23])
def test_a_preemption_in_mid_epoch_costs_no_update_and_changes_no_number(
    method: str, steps: int, tmp_path: Path, run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_trainer, "PREEMPTION_CHECK_STEPS", 1)
    spec = make_spec(method=method, epochs=3, steps_per_epoch=10, **EVERYTHING)
    folder = CheckpointFolder(str(tmp_path / "trial"))
    expected = run_fit(spec, CheckpointFolder(str(tmp_path / "undisturbed")))
    checks = itertools.count()
    before = run_fit(spec, folder, is_preempted=lambda: next(checks) == steps)
    assert (tmp_path / "trial" / "mid-epoch.pt").exists()
    after = run_fit(spec, folder)
    assert epochs_of(before) == list(range(1, steps // 10 + 1))
    by_epoch = {record.epoch: numbers(record) for record in [*before, *after]}
    for record in expected:
        assert by_epoch[record.epoch] == pytest.approx(numbers(record), rel=1e-6)
    assert not (tmp_path / "trial" / "mid-epoch.pt").exists()


def test_a_damaged_mid_epoch_checkpoint_costs_that_epoch_only(
    tmp_path: Path, run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_trainer, "PREEMPTION_CHECK_STEPS", 1)
    spec = make_spec(epochs=2, steps_per_epoch=3)
    folder = CheckpointFolder(str(tmp_path))
    checks = itertools.count()
    run_fit(spec, folder, is_preempted=lambda: next(checks) == 4)
    (tmp_path / "mid-epoch.pt").write_bytes(b"torn")
    assert epochs_of(run_fit(spec, folder)) == [1, 2]


def test_preemption_is_checked_every_20_updates_and_names_the_update() -> None:
    spec = make_spec(epochs=1, steps_per_epoch=50)
    checks = itertools.count(1)
    epochs = fit(
        spec,
        make_data(),
        make_source_weights(spec),
        device=CPU,
        is_preempted=lambda: next(checks) == 3,
    )
    with pytest.raises(PreemptedError, match="preempted at update 40, in epoch 1"):
        next(epochs)


def test_same_seed_same_numbers_and_another_seed_others(run_fit: Fit) -> None:
    spec = make_spec(**EVERYTHING, epochs=1)
    first = without_seconds(run_fit(spec))
    torch.manual_seed(123)
    assert without_seconds(run_fit(spec)) == first
    assert without_seconds(run_fit(spec.model_copy(update={"seed": 1}))) != first


def test_finished_trial_yields_its_last_record_and_trains_no_more(
    tmp_path: Path, run_fit: Fit
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    spec = make_spec(epochs=2)
    last = run_fit(spec, folder)[-1]
    assert run_fit(spec, folder) == [last]


def test_records_hold_scores_losses_and_seconds(run_fit: Fit) -> None:
    records = run_fit(make_spec(epochs=2))
    assert epochs_of(records) == [1, 2]
    for record in records:
        assert record.target_val_accuracy is not None
        assert record.target_val_loss is not None
        assert 0 <= record.target_val_accuracy <= 1
        assert 0 <= record.source_val_accuracy <= 1
        assert record.target_val_loss > 0
        assert {"task", "cycle", "information"} <= record.losses.keys()
        assert record.train_s > 0
        assert record.eval_s > 0


@pytest.mark.parametrize("metric", ["target_val_accuracy", "infomax", "ensemble"])
def test_the_metric_decides_which_checkpoint_is_kept_as_the_best(
    metric: str, tmp_path: Path
) -> None:
    spec = make_spec(epochs=3, classifier_lr=0.02)
    folder = CheckpointFolder(str(tmp_path), keep=1)
    epochs = fit(
        spec,
        make_data(),
        make_source_weights(spec),
        device=CPU,
        checkpoints=folder,
        metric=metric,
    )
    scores = {record.epoch: record.score(metric) for record in epochs}
    best = max(scores, key=lambda epoch: (scores[epoch], -epoch))
    assert folder.epochs() == sorted({best, 3})


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_with_every_weight_but_task_at_zero_the_generators_stay_as_they_began(
    method: str, tmp_path: Path, run_fit: Fit
) -> None:
    off = dict.fromkeys(
        ["adversarial", "cycle", "identity", "semantic", "feature", "information"], 0.0
    )
    spec = make_spec(method=method, epochs=2, loss_weights=off)
    folder = CheckpointFolder(str(tmp_path), keep=2)
    records = run_fit(spec, folder)
    assert list(records[-1].losses) == ["task"]
    first = folder.load(1)["state"]["networks"]["g_st"]
    last = folder.load(2)["state"]["networks"]["g_st"]
    assert all(torch.equal(first[key], last[key]) for key in first)


def test_every_epoch_leaves_a_sample_grid(tmp_path: Path, run_fit: Fit) -> None:
    folder = CheckpointFolder(str(tmp_path), keep=1)
    run_fit(make_spec(epochs=3), folder)
    for epoch in (1, 2, 3):
        png = folder.sample_grid(epoch)
        assert png is not None
        assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
def test_bf16_runs_on_the_cpu_with_finite_losses(generator: str, run_fit: Fit) -> None:
    spec = make_spec(
        generator=generator,
        precision="bf16",
        epochs=1,
        pool_size=4,
        augment={"shift": 0.1},
        feature_gate=0.0,
    )
    (record,) = run_fit(spec)
    assert all(math.isfinite(value) for value in numbers(record).values())


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning"
)  # torch's own, from within dynamo
def test_compiled_networks_train_to_the_same_losses(tmp_path: Path, run_fit: Fit) -> None:
    spec = make_spec(epochs=1, steps_per_epoch=3, classifier_ema_decay=0.9)
    compiled = make_spec(epochs=1, steps_per_epoch=3, classifier_ema_decay=0.9, compile=True)
    folder = CheckpointFolder(str(tmp_path))
    [record] = run_fit(compiled, folder)
    [expected] = run_fit(spec)
    assert numbers(record) == pytest.approx(numbers(expected), rel=1e-3, abs=1e-4)
    assert run_fit(spec, folder) == [record]  # networks that are not compiled load its checkpoint


def test_a_term_that_is_not_finite_is_named_with_its_step(
    run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count(1)

    def poisoned(images: torch.Tensor, reconstructed: torch.Tensor) -> torch.Tensor:
        factor = math.nan if next(calls) == 3 else 1.0
        return (images - reconstructed).mean() * factor

    # It is called twice per update: the third call is in step 2.
    monkeypatch.setattr(generators, "cycle_loss", poisoned)
    with pytest.raises(
        NonFiniteLossError, match=r"`cycle` is not finite at step 2 .*cycle 10, identity 5"
    ):
        run_fit(make_spec())


def test_poisoned_source_weights_fail_at_step_1_and_save_nothing(tmp_path: Path) -> None:
    spec = make_spec(method="cyclegan")
    weights = {
        name: torch.full_like(value, math.nan) for name, value in make_source_weights(spec).items()
    }
    folder = CheckpointFolder(str(tmp_path))
    with pytest.raises(NonFiniteLossError, match="`task` is not finite at step 1 "):
        next(fit(spec, make_data(), weights, device=CPU, checkpoints=folder))
    assert folder.epochs() == []
