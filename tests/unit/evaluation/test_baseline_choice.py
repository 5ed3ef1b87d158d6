from __future__ import annotations

import math
from dataclasses import replace

import torch
from support.tiny_trial import make_record, make_spec

from adaptune.evaluation.baseline_choice import Baselines, SettingResult, choose_baselines
from adaptune.evaluation.test_scores import SelectedBaseline
from adaptune.spec.baselines import BaselineSetting
from adaptune.training.baselines import Candidate
from adaptune.training.record import EpochRecord

FEATURE = BaselineSetting("no_gan", {"loss_weights.feature": 0.3})
INFORMATION = BaselineSetting("no_gan", {"loss_weights.information": 1.0})
FDA = BaselineSetting("fda", {"fourier_beta": 0.1})


def candidate(epoch: int, accuracy: float, **validators: float) -> Candidate:
    record = replace(make_record(epoch, accuracy), validators=validators)
    return with_record(record)


def with_record(record: EpochRecord) -> Candidate:
    """Return a candidate whose weights are its epoch and its accuracy."""
    return Candidate(record, {"w": torch.tensor([record.epoch, record.target_val_accuracy or 0])})


def choose(
    *results: tuple[BaselineSetting, Candidate | None],
    f_s: float = 0.5,
    metric: str = "target_val_accuracy",
    upper_bound: Candidate | None = None,
    source_only: Candidate | None = None,
) -> Baselines:
    pairs = [SettingResult(*result, epochs=4) for result in results]
    source = candidate(0, f_s, v_measure=f_s, source_val=1, infomax=f_s, importance_weighted=f_s)
    spec = make_spec(epochs=4)
    return choose_baselines(spec, source, pairs, upper_bound, metric, source_only)


def test_the_best_setting_is_chosen_and_the_updates_of_all_are_counted() -> None:
    baselines = choose(
        (FEATURE, candidate(3, 0.7)),
        (INFORMATION, candidate(2, 0.8)),
        (FDA, candidate(4, 0.75)),
    )
    assert baselines.selected == {
        "no_gan": SelectedBaseline("information 1", epoch=2, updates=2 * 4 * 2),
        "fda": SelectedBaseline("fourier beta 0.1", epoch=4, updates=4 * 2),
    }
    assert baselines.best == "no_gan"
    assert baselines.weights["no_gan"]["w"].tolist() == torch.tensor([2, 0.8]).tolist()


def test_a_baseline_that_does_not_improve_f_s_is_f_s() -> None:
    baselines = choose((FEATURE, candidate(3, 0.4)), (FDA, candidate(1, 0.6)))
    assert baselines.selected["no_gan"] == SelectedBaseline("f_S itself", epoch=0, updates=8)
    assert baselines.weights["no_gan"]["w"][0] == 0
    assert baselines.best == "fda"


def test_a_setting_whose_training_failed_is_not_chosen() -> None:
    baselines = choose((FEATURE, None), (INFORMATION, candidate(1, 0.6)), (FDA, None))
    assert baselines.selected["no_gan"].setting == "information 1"
    assert baselines.selected["fda"].epoch == 0


def test_a_validator_chooses_where_it_is_the_objective_and_nan_is_never_best() -> None:
    baselines = choose(
        (FEATURE, candidate(1, 0.9, infomax=0.6)),
        (INFORMATION, candidate(2, 0.1, infomax=0.7)),
        (FDA, candidate(3, 0.9, infomax=math.nan)),
        metric="infomax",
    )
    assert baselines.selected["no_gan"].setting == "information 1"
    assert baselines.selected["fda"].epoch == 0


def test_ensemble_ranks_the_settings_and_f_s_against_each_other() -> None:
    def scored(epoch: int, **validators: float) -> Candidate:
        return candidate(epoch, 0.1, source_val=1, **validators)

    baselines = choose(
        (FEATURE, scored(4, v_measure=0.9, infomax=0.2, importance_weighted=0.2)),
        (INFORMATION, scored(4, v_measure=0.8, infomax=0.9, importance_weighted=0.9)),
        (FDA, scored(4, v_measure=0.1, infomax=0.1, importance_weighted=0.1)),
        metric="ensemble",
    )
    assert baselines.selected["no_gan"].setting == "information 1"
    assert baselines.selected["fda"].epoch == 0
    assert baselines.best == "no_gan"


def test_the_upper_bound_is_no_baseline_without_a_gan() -> None:
    baselines = choose((FDA, candidate(1, 0.6)), upper_bound=candidate(3, 0.99))
    selected = baselines.selected["target_supervised"]
    assert (selected.setting, selected.epoch) == ("labels of target_train", 3)
    assert baselines.best == "fda"


def test_nothing_is_chosen_from_nothing() -> None:
    assert choose(f_s=0.6) == Baselines(objectives={"source_only": 0.6})


def test_the_objectives_are_those_of_the_chosen_epochs() -> None:
    baselines = choose(
        (FEATURE, candidate(3, 0.7)),
        (INFORMATION, candidate(2, 0.8)),
        (FDA, candidate(4, 0.25)),
        upper_bound=candidate(3, 0.99),
    )
    assert baselines.objectives == {"source_only": 0.5, "no_gan": 0.8, "fda": 0.5}


def test_source_only_is_no_candidate_of_a_baseline() -> None:
    baselines = choose((FEATURE, candidate(3, 0.7)), source_only=candidate(0, 0.9))
    assert baselines.selected["no_gan"].epoch == 3
    assert baselines.weights["source_only"]["w"].tolist() == torch.tensor([0, 0.9]).tolist()
