from __future__ import annotations

from optuna.trial import TrialState
from proposal_time import measure, study_of


def test_the_trials_are_enough_for_a_model() -> None:
    study = study_of(12)
    assert study.curves.is_ready()
    assert [trial.state for trial in study.started_trials()][-1] == TrialState.RUNNING


def test_all_times_are_measured() -> None:
    assert min(measure(12)) > 0
