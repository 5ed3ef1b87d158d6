from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from support.fake_search import SPACE, history, make_record, make_search, simulate, smooth

from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy, create_study

SPACE_WITH_CLASSIFIER = SPACE | {
    "loss_weights.information": {"search": "uniform", "low": 0, "high": 1}
}
CURVES = {"sampler": "curves", "scheduler": "curves"}


def make_spec(trials: int = 24, group_size: int = 1, **search: object) -> SearchSpec:
    options = CURVES | {"trials": trials, "classifiers_per_gan": group_size} | search
    return make_search(space=SPACE_WITH_CLASSIFIER, search=options)


def best_of(study: SearchStudy, first: int, last: int) -> float:
    trials = study.started_trials()[first:last]
    return max(smooth(trial.values, 100) for trial in trials)


def test_it_finds_better_values_than_its_random_start() -> None:
    study = simulate(make_spec(), None, smooth)
    assert best_of(study, 0, 8) < 0.97 < best_of(study, 8, 24)


def test_trials_that_will_hardly_become_the_best_are_stopped_unless_they_are_audited() -> None:
    study = simulate(make_spec(32), None, smooth)
    states = [trial.state for trial in study.started_trials()]
    assert states.count(TrialState.PRUNED) > 8
    assert {states[number] for number in (0, 1, 7, 15, 31)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("group_size", [1, 3])
@pytest.mark.parametrize("checkpoint_ahead", [False, True])
def test_ten_kills_change_nothing(tmp_path: Path, group_size: int, checkpoint_ahead: bool) -> None:
    spec = make_spec(24, group_size)
    undisturbed = history(simulate(spec, None, smooth))
    journal = tmp_path / "study.journal"
    for kill in range(10):
        simulate(spec, journal, smooth, stop_after=3 + kill % 4, checkpoint_ahead=checkpoint_ahead)
    resumed = simulate(spec, journal, smooth, checkpoint_ahead=checkpoint_ahead)
    assert history(resumed) == undisturbed
    stored = optuna.load_study(study_name=spec.name, storage=open_storage(journal))
    assert [trial.number for trial in stored.trials] == list(range(24))
    assert all(trial.state.is_finished() for trial in stored.trials)


def open_storage(journal: Path) -> JournalStorage:
    """Open a journal as Optuna and its dashboard do."""
    return JournalStorage(JournalFileBackend(str(journal)))


def test_a_start_point_keeps_its_values_and_gets_the_others_from_the_model() -> None:
    study = simulate(make_spec(10), None, smooth)
    study.optuna_study.enqueue_trial({"loss_weights.cycle": 20.0})
    trial = study.ask()
    assert trial.params["loss_weights.cycle"] == 20.0
    assert set(trial.params) == set(SPACE_WITH_CLASSIFIER)


def test_asha_decides_until_there_is_a_model_and_other_schedulers_keep_their_decision() -> None:
    curves = create_study(make_spec()).curves
    assert not curves.is_ready()
    decisions = [curves.stops(2, 1, 0.1, otherwise=stops) for stops in (True, False)]
    assert decisions == [True, False]
    study = simulate(make_spec(10, scheduler="asha"), None, smooth)
    assert study.curves.is_ready()
    trial = study.ask()
    decisions = [
        study.curves.stops(trial.number, 1, 0.1, otherwise=stops) for stops in (True, False)
    ]
    assert decisions == [True, False]


def test_asha_does_not_stop_an_audited_trial() -> None:
    assert not create_study(make_spec()).curves.stops(1, 1, 0.1, otherwise=True)


def test_trials_are_not_judged_before_the_grace_period() -> None:
    scheduler = {"name": "curves", "grace_epochs": 4}
    study = simulate(make_spec(20, scheduler=scheduler), None, smooth)
    assert min(trial.last_epoch for trial in study.started_trials()) == 4


def test_the_number_of_images_is_stored_once() -> None:
    study = create_study(make_spec())
    study.curves.note_images(500)
    study.curves.note_images(400)
    assert study.optuna_study.user_attrs["target_val_images"] == 500


@pytest.mark.parametrize(
    ("metric", "images"), [("target_val_accuracy", 500), ("target_val_macro_f1", None)]
)
def test_only_the_noise_of_accuracies_is_known(metric: str, images: int | None) -> None:
    study = create_study(make_spec(metric=metric))
    study.curves.note_images(500)
    assert study.curves._search._images == images


def test_an_epoch_of_nan_or_a_trial_without_all_values_is_left_out() -> None:
    study = create_study(make_spec())
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    trial.report(float("nan"), 2)
    study.optuna_study.ask()  # it has no values yet
    [curve] = study.curves._curves(but=None)
    assert curve.values == {1: 0.5}
