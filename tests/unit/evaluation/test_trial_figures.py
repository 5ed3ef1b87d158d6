from __future__ import annotations

from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.evaluation.trial_figures import trial_figures
from adaptune.study.study import create_study
from adaptune.training.record import HealthReport

UNHEALTHY = HealthReport(0.01, 1.0, 0.0, 1.0, "", unhealthy="collapse: diversity 0.01")


def test_trials_are_counted_by_state_and_by_symptom() -> None:
    study = create_study(make_search())
    for number, epochs in enumerate((2, 1, 1)):
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            health = UNHEALTHY if number == 1 else None
            study.add_epoch(trial, make_record(epoch, 0.5, health=health), 0.5)
        error = "it failed" if number == 2 else None
        study.tell_result(trial, epochs=2, error=error, wall_s=1.0)
    assert trial_figures(study) == {
        "trials_total": 3,
        "trials_complete": 1,
        "trials_pruned": 1,
        "trials_failed": 1,
        "trials_unhealthy": {"collapse": 1},
        "early_end": None,
    }


def test_an_early_end_is_described() -> None:
    rule = {"gain_below": 99}
    search = {"trials": 34, "scheduler": "none", "stop_when": rule}
    study = simulate(make_search(search=search), None, smooth)
    figures = trial_figures(study)
    assert figures["early_end"] == study.early_end.describe()
    assert "14 trial(s) were not needed" in str(figures["early_end"])
