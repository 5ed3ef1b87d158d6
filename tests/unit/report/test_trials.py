from __future__ import annotations

import yaml
from support.fake_search import make_record, make_search

from adaptune.report.trials import best_number, fate_symbol, report_trials, searched_names
from adaptune.study.study import SearchStudy, create_study

START = {"loss_weights.cycle": 1.0, "loss_weights.identity": 0.5}


def make_study() -> SearchStudy:
    """A complete start point, a stopped, a failed and a running trial, of two epochs."""
    study = create_study(make_search(search={"start_points": [START]}))
    ends = ([0.5, 0.7], None), ([0.4], None), ([], "step 1: <nan>")
    for accuracies, error in ends:
        trial = study.ask()
        for epoch, accuracy in enumerate(accuracies, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=2, error=error, wall_s=1.0)
    study.add_epoch(study.ask(), make_record(1, 0.9), 0.9)
    return study


def test_trials_have_their_fate_and_the_best_one_is_last() -> None:
    trials = report_trials(make_study(), best=0)
    fates = [(trial.number, trial.fate) for trial in trials]
    assert fates == [(1, "stopped"), (2, "failed"), (3, "running"), (0, "best")]


def test_a_trial_tells_about_itself() -> None:
    stopped, failed, _, best = report_trials(make_study(), best=0)
    assert best.describe() == "trial 0, the best, start point, 70.0% in epoch 2 of 2"
    assert stopped.describe() == "trial 1, stopped early, 40.0% in epoch 1 of 1"
    assert failed.describe() == "trial 2, failed"
    assert failed.details()["note"] == "step 1: <nan>"
    assert failed.best_value is None
    assert yaml.safe_load(best.details()["yaml"]) == {"loss_weights": {"cycle": 1, "identity": 0.5}}


def test_an_objective_that_is_no_number_is_not_shown() -> None:
    study = create_study(make_search())
    study.add_epoch(study.ask(), make_record(1, float("nan")), float("nan"))
    [trial] = report_trials(study, None)
    assert (dict(trial.curve), trial.best_value) == ({}, None)


def test_without_an_exported_trial_the_best_so_far_is_the_best() -> None:
    assert best_number(make_study(), None) == 3
    assert best_number(make_study(), 1) == 1
    assert best_number(create_study(make_search()), None) is None


def test_fates_differ_in_shape() -> None:
    symbols = {fate_symbol(fate) for fate in ("best", "complete", "stopped", "failed")}
    assert len(symbols) == 4
    assert fate_symbol("stopped", is_square=True).startswith("<rect")


def test_names_are_short_if_they_are_unique() -> None:
    number = {"search": "uniform", "low": 0, "high": 1}
    spec = make_search({"loss_weights.cycle": number})
    assert searched_names(spec) == {"loss_weights.cycle": "cycle"}
    rates = {"training.generator_lr": number, "training.classifier_lr": number}
    assert list(searched_names(make_search(rates)).values()) == ["classifier_lr", "generator_lr"]
    names = {"model.generator.name": {"search": "choice", "values": ["unshuffle", "resnet"]}}
    assert searched_names(make_search(names)) == {"model.generator.name": "name"}
