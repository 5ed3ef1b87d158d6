from __future__ import annotations

from pathlib import Path

from support.fake_run import make_summary
from support.fake_search import make_record, make_search

from adaptune.evaluation.stopping_agreement import RungAgreement
from adaptune.report.next_steps import next_steps
from adaptune.report.trials import report_trials
from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy, create_study

SPEC = make_search(training={"epochs": 2})


def make_study(
    values: dict[str, float], *curve: float, spec: SearchSpec = SPEC, unhealthy: str | None = None
) -> SearchStudy:
    study = create_study(spec)
    study.optuna_study.enqueue_trial(values)
    trial = study.ask()
    for epoch, accuracy in enumerate(curve, start=1):
        study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
    if unhealthy:
        trial.set_user_attr("unhealthy", unhealthy)
    study.tell_result(trial, epochs=2, error=None, wall_s=1.0)
    return study


def reasons(
    path: Path, study: SearchStudy, *, finished: bool = True, agreement: float | None = None
) -> str:
    summary = make_summary(best_trial=0) if finished else None
    agreements = [] if agreement is None else [RungAgreement(1, 8, agreement, True)]
    trials = report_trials(study, best=0)
    steps = next_steps(ResultsFolder(path), SPEC, trials, summary, agreements)
    return "\n".join(f"{step.reason} {step.command or ''}" for step in steps)


MIDDLE = {"loss_weights.cycle": 3.0, "loss_weights.identity": 2.0}


def test_a_result_is_to_be_confirmed_until_it_is(tmp_path: Path) -> None:
    study = make_study(MIDDLE, 0.7, 0.6)
    text = reasons(tmp_path, study)
    assert f"adaptune confirm {tmp_path}" in text
    assert f"adaptune ablate {tmp_path}" in text
    assert "widen" not in text
    assert "longer" not in text
    (tmp_path / "confirm").mkdir()
    (tmp_path / "confirm" / "confirm.parquet").touch()
    assert "adaptune confirm" not in reasons(tmp_path, study)


def test_a_value_at_the_end_of_its_range_is_named(tmp_path: Path) -> None:
    text = reasons(tmp_path, make_study(MIDDLE | {"loss_weights.cycle": 29.0}, 0.7, 0.6))
    assert "The best value of cycle, 29, is at the upper end of its range (0.1 to 30)" in text
    off = make_study(MIDDLE | {"loss_weights.identity": 0.0}, 0.7, 0.6)
    assert "widen" not in reasons(tmp_path, off)


def test_the_last_epoch_as_the_best_calls_for_longer_training(tmp_path: Path) -> None:
    assert "training.epochs" in reasons(tmp_path, make_study(MIDDLE, 0.6, 0.7))


def test_symptoms_and_early_rungs_that_mislead_are_named(tmp_path: Path) -> None:
    study = make_study(MIDDLE, 0.7, 0.6, unhealthy="label flip: 4 as 9")
    text = reasons(tmp_path, study, agreement=0.1)
    assert "(label flip: 4 as 9)" in text
    assert "search.scheduler.grace_epochs" in text
    assert "grace_epochs" not in reasons(tmp_path, study, agreement=0.9)


def test_a_search_that_has_not_finished_is_continued(tmp_path: Path) -> None:
    text = reasons(tmp_path, make_study(MIDDLE, 0.7), finished=False)
    assert text.startswith("The search has not finished.")
    assert "--resume" in text
    assert "confirm" not in text


def test_failed_trials_are_counted(tmp_path: Path) -> None:
    study = make_study(MIDDLE, 0.7, 0.6)
    study.tell_result(study.ask(), epochs=2, error="step 1: nan", wall_s=1.0)
    assert "1 trial(s) failed" in reasons(tmp_path, study)
