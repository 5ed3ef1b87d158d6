"""Trials of a group: the numbers of each are those that it has alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError, PreemptedError
from adaptune.spec.schema import TrialSpec
from adaptune.training import epoch_trainer
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import decode
from adaptune.training.group import GroupTrial
from adaptune.training.loop import Outcome, fit, fit_group
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

SHARED: dict[str, Any] = WITH_MEMORY | {"semantic_gate": None, "epochs": 4}
LOW_THRESHOLD = {"threshold": 0.35, "mask": 0.3}
# Settings of the classifier side.
MEMBERS: dict[int, dict[str, Any]] = {
    3: {},
    5: {"loss_weights": {"information": 0.0, "feature": 0.5}, "classifier_lr": 0.003},
    6: {"feature_gate": 0.0, "classifier_ema_decay": 0, "task_images": "both"},
    9: {"augment": {}, "classifier_optimizer": "sgd", "loss_weights": {"feature": 0.0}},
    8: {"classifier_from": 0.6, "freeze_head": True, "classifier_beta1": 0.9},
    10: {"loss_weights": {"confusion": 1.0, "consistency": 1.0}, "consistency": LOW_THRESHOLD},
}


def specs(method: str = "cycada") -> dict[int, TrialSpec]:
    members = {}
    for number, settings in MEMBERS.items():
        members[number] = make_spec(method=method, dropout=0.3, **SHARED | settings)
    return members


def folder_of(path: Path, number: int, keep: int = 2) -> CheckpointFolder:
    return CheckpointFolder(str(path), keep=keep, identity=f"trial {number}")


def run_alone(spec: TrialSpec, folder: CheckpointFolder | None = None) -> list[dict[str, Any]]:
    weights = make_source_weights(spec)
    records = fit(spec, make_data(), weights, device=CPU, checkpoints=folder, health=True)
    return [numbers(record) for record in records]


def run_group(
    trials: Mapping[int, TrialSpec], path: Path | None = None, keep: int = 2, **options: Any
) -> Iterator[dict[int, Outcome]]:
    members = {}
    for number, spec in trials.items():
        folder = None if path is None else folder_of(path, number, keep)
        members[number] = GroupTrial(spec, folder)
    weights = make_source_weights(next(iter(trials.values())))
    return fit_group(members, make_data(), weights, device=CPU, health=True, **options)


def numbers(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, EpochRecord)
    return replace(outcome, train_s=0.0, eval_s=0.0).to_dict()


def by_trial(epochs: Iterator[dict[int, Outcome]]) -> dict[int, list[dict[str, Any]]]:
    records: dict[int, list[dict[str, Any]]] = {}
    for outcomes in epochs:
        for number, outcome in outcomes.items():
            records.setdefault(number, []).append(numbers(outcome))
    return records


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_each_trial_has_the_numbers_and_the_weights_that_it_has_alone(
    method: str, tmp_path: Path
) -> None:
    trials = specs(method)
    together = by_trial(run_group(trials, tmp_path / "group", keep=9))
    for number, spec in trials.items():
        alone = folder_of(tmp_path / str(number), number, keep=9)
        assert together[number] == run_alone(spec, alone)
        for epoch in (1, 4):
            contents = folder_of(tmp_path / "group", number).load(epoch)
            expected = alone.load(epoch)
            assert contents["state"].keys() == expected["state"].keys()
            torch.testing.assert_close(contents["state"], expected["state"], rtol=0, atol=0)
            torch.testing.assert_close(contents["pools"], expected["pools"], rtol=0, atol=0)


def test_a_stopped_trial_changes_nothing_for_the_others() -> None:
    stopped: set[int] = set()
    records: dict[int, list[dict[str, Any]]] = {}
    # The first one ends early, so that another one stands for the GAN from then on.
    ends = {1: 3, 2: 6, 3: 5}
    for epoch, outcomes in enumerate(run_group(specs(), stopped=stopped), start=1):
        stopped.add(ends.get(epoch, -1))
        for number, outcome in outcomes.items():
            records.setdefault(number, []).append(numbers(outcome))
    lengths = {number: len(epochs) for number, epochs in records.items()}
    assert lengths == {3: 1, 6: 2, 5: 3, 8: 4, 9: 4, 10: 4}
    for number, spec in specs().items():
        assert records[number] == run_alone(spec)[: len(records[number])]


def test_a_group_ends_with_its_last_trial() -> None:
    stopped: set[int] = set()
    epochs = run_group(specs(), stopped=stopped)
    assert set(next(epochs)) == set(MEMBERS)
    stopped.update(MEMBERS)
    assert next(epochs, None) is None


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_resumed_group_continues_with_the_trials_that_have_not_ended(
    killed_after: int, tmp_path: Path
) -> None:
    stopped: set[int] = set()
    before = run_group(specs(), tmp_path, stopped=stopped)
    next(before)
    stopped.add(3)
    records = by_trial(itertools.islice(before, killed_after - 1))
    before.close()

    remaining = {number: spec for number, spec in specs().items() if number != 3}
    after = by_trial(run_group(remaining, tmp_path))
    for number, spec in remaining.items():
        epochs = {record["epoch"]: record for record in [*records.get(number, []), *after[number]]}
        assert after[number][0]["epoch"] == killed_after
        expected = run_alone(spec)
        assert [epochs.get(epoch) or expected[0] for epoch in range(1, 5)] == expected


def test_a_preempted_group_continues_in_mid_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_trainer, "PREEMPTION_CHECK_STEPS", 1)
    checks = itertools.count(1)
    with pytest.raises(PreemptedError, match="update 3, in epoch 2"):
        list(run_group(specs(), tmp_path, is_preempted=lambda: next(checks) == 4))
    after = by_trial(run_group(specs(), tmp_path))
    for number, spec in specs().items():
        for record, expected in zip(after[number], run_alone(spec), strict=True):
            assert record.pop("losses") == pytest.approx(expected.pop("losses"), rel=1e-6)
            assert record == expected


def best_epochs_after_two(trials: Mapping[int, TrialSpec], path: Path) -> dict[int, int]:
    """Train two epochs of a group; return the best one of each trial."""
    best: dict[int, EpochRecord] = {}
    epochs = run_group(trials, path, keep=1)
    for outcomes in itertools.islice(epochs, 2):
        for number, record in outcomes.items():
            assert isinstance(record, EpochRecord)
            before = best.setdefault(number, record)
            if record.score("target_val_accuracy") > before.score("target_val_accuracy"):
                best[number] = record
    epochs.close()
    return {number: record.epoch for number, record in best.items()}


def test_the_best_checkpoints_of_ended_trials_stay(tmp_path: Path) -> None:
    trials = specs()
    best = best_epochs_after_two(trials, tmp_path)[3]
    del trials[3]
    list(run_group(trials, tmp_path, keep=1))  # trial 3 ended between the two sessions
    assert folder_of(tmp_path, 3).load(best)["record"]["epoch"] == best


def test_the_best_checkpoints_of_ended_trials_stay_if_the_others_start_again(
    tmp_path: Path,
) -> None:
    trials = specs()
    best = best_epochs_after_two(trials, tmp_path)
    ended = {number: folder_of(tmp_path, number).load(best[number]) for number in (3, 5)}
    again: dict[int, GroupTrial] = {}
    for number in (6, 8):  # with another f_S
        folder = CheckpointFolder(str(tmp_path), keep=1, identity=f"trial {number}, other f_S")
        again[number] = GroupTrial(trials[number], folder)
    weights = make_source_weights(trials[6])
    first, *_ = fit_group(again, make_data(), weights, device=CPU)
    assert {numbers(outcome)["epoch"] for outcome in first.values()} == {1}
    for number, contents in ended.items():
        kept = folder_of(tmp_path, number).load(best[number])
        assert kept["identity"] == f"trial {number}"
        torch.testing.assert_close(kept["state"], contents["state"], rtol=0, atol=0)


def test_the_best_checkpoint_of_an_ended_twin_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_newest(state: TrainingState, epoch: int, score: object) -> None:
        state.best_epoch = epoch

    monkeypatch.setattr(TrainingState, "update_best", take_newest)
    # Trials of equal values have the same identity.
    twin = GroupTrial(make_spec(**SHARED), folder_of(tmp_path, 0, keep=1))
    weights = make_source_weights(twin.spec)
    before = fit_group({0: twin, 1: twin}, make_data(), weights, device=CPU)
    list(itertools.islice(before, 2))
    before.close()
    list(fit_group({1: twin}, make_data(), weights, device=CPU))  # the other one has ended
    assert folder_of(tmp_path, 0).epochs() == [2, 4]


def test_a_trial_whose_terms_are_not_finite_ends_alone() -> None:
    trials = specs()
    trials[5] = make_spec(dropout=0.3, **SHARED | {"loss_weights": {"task": 1e39}})
    errors: dict[int, Outcome] = {}
    for outcomes in run_group(trials):
        for number, outcome in outcomes.items():
            if not isinstance(outcome, EpochRecord):
                errors[number] = outcome
    assert list(errors) == [5]
    assert set(outcomes) == {3, 6, 8, 9, 10}
    assert numbers(outcomes[9]) == run_alone(trials[9])[-1]
    with pytest.raises(NonFiniteLossError) as alone:
        run_alone(trials[5])
    assert str(errors[5]) == str(alone.value)


def test_a_gan_that_is_not_finite_ends_all_trials() -> None:
    trials = dict.fromkeys((1, 2), make_spec(**SHARED | {"loss_weights": {"cycle": 1e39}}))
    *_, last = run_group(trials)
    assert [type(outcome) for outcome in last.values()] == [NonFiniteLossError] * 2


def test_the_gan_is_stored_once(tmp_path: Path) -> None:
    spec = make_spec(**SHARED)
    next(run_group({0: spec}, tmp_path / "alone"))
    next(run_group(dict.fromkeys(range(4), spec), tmp_path / "group"))
    alone = folder_of(tmp_path / "alone", 0).load(1)["state"]
    group = decode((tmp_path / "group" / "epoch-0001.pt").read_bytes(), "group")
    assert group["state"]["networks"].keys() == alone["networks"].keys()
    for other in group["group"]:
        assert set(other["state"]["networks"]) == {"f_t", "d_feat"}
        assert set(other["state"]["optimizers"]) == {"f_t", "d_feat"}
        assert set(other["state"]["averages"]) == {"f_t"}
