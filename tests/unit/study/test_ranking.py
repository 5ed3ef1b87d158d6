from __future__ import annotations

import random

import pytest
from optuna.trial import TrialState
from support.fake_search import make_record, make_search

from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.trial import StudyTrial
from adaptune.training.metrics import ClassScores
from adaptune.training.record import ENSEMBLE, TARGET_VAL

Ranked = list[tuple[int, int]]  # number of the trial and of the epoch


def add_trials(study: SearchStudy, seed: int, count: int) -> None:
    """Trials of up to three epochs, with ties; the last one keeps running, every fifth fails."""
    numbers = random.Random(seed)
    for index in range(count):
        trial = study.ask()
        for epoch in range(1, numbers.randint(1, 3) + 1):
            accuracy = numbers.randint(0, 4) / 4
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        if index < count - 1:
            error = "nan" if trial.number % 5 == 0 else None
            study.tell_result(trial, epochs=3, error=error, wall_s=None)


def brute_force(study: SearchStudy, metric: str, states: set[TrialState]) -> Ranked:
    """The definition: every epoch is scored, with the ranks among the epochs of all trials."""
    objective = Objective(metric)
    trials = study.started_trials()
    for trial in trials:
        for epoch in trial.epochs:
            objective.observe(trial.number, epoch.record)

    def score(candidate: tuple[StudyTrial, int]) -> tuple[float, ...]:
        trial, index = candidate
        record = trial.epochs[index].record
        if metric != ENSEMBLE:
            return record.score(metric)
        assert trial.best_epoch is not None
        return (objective.value(trial.best_epoch.record), *record.score(metric))

    candidates = []
    for trial in trials:
        if trial.state in states:
            candidates += [(trial, index) for index in range(len(trial.epochs))]
    candidates.sort(key=score, reverse=True)
    return [(trial.number, trial.epochs[index].number) for trial, index in candidates]


def test_the_metric_of_the_search_ranks_trials_and_epochs() -> None:
    study = create_study(make_search(search={"metric": "target_val_mean_recall"}))
    for recalls in ((0.2, 0.9), (0.5, 0.4)):
        trial = study.ask()
        for epoch, recall in enumerate(recalls, start=1):
            scores = ClassScores(mean_recall=recall, macro_f1=0.5, auroc=None, recall={})
            study.add_epoch(trial, make_record(epoch, 1 - recall, target_val=scores), recall)
        study.tell_result(trial, epochs=2, error=None, wall_s=None)
    ranked = [(trial.number, epoch.number) for trial, epoch in study.ranked_epochs()]
    assert ranked == [(0, 2), (1, 1), (1, 2), (0, 1)]
    assert [trial.best_value for trial in study.ranked_trials()] == [0.9, 0.5]


@pytest.mark.parametrize("metric", [TARGET_VAL, "v_measure", ENSEMBLE])
@pytest.mark.parametrize("include_running", [False, True])
def test_trials_and_epochs_are_ranked_as_if_all_were_scored_each_time(
    metric: str, include_running: bool
) -> None:
    study = create_study(make_search(search={"metric": metric, "trials": 30}))
    states = {TrialState.COMPLETE, TrialState.PRUNED}
    if include_running:
        states.add(TrialState.RUNNING)
    for seed in range(3):  # the ranking remembers the trials of the rounds before
        add_trials(study, seed, 8)
        expected = brute_force(study, metric, states)
        ranked = study.ranked_epochs(include_running=include_running)
        assert [(trial.number, epoch.number) for trial, epoch in ranked] == expected
        trials = study.ranked_trials(include_running=include_running)
        numbers = [trial.number for trial in trials]
        assert numbers == list(dict.fromkeys(number for number, _ in expected))


def test_the_epochs_of_a_finished_trial_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = create_study(make_search())
    add_trials(study, 0, 6)
    [running] = study.interrupted_trials()
    study.tell_result(running, epochs=3, error=None, wall_s=None)
    assert study.ranked_trials()
    monkeypatch.delattr(StudyTrial, "epochs")
    assert study.ranked_trials()
