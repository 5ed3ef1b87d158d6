from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_run import make_run, make_summary
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.evaluation.held_out import TrialCheckpoint
from adaptune.evaluation.summary import (
    Summary,
    read_summary,
    summarise,
    write_summary,
)
from adaptune.evaluation.summary_scores import accuracies_by_model, verdict_estimates
from adaptune.evaluation.test_scores import SelectedBaseline
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.search.driver import SearchRun
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.trial import TrialPlacement
from adaptune.training.bootstrap import Estimate
from adaptune.training.significance import accuracy_interval

KEYS = """
    format name method source target metric execution workers_per_trial classifiers_per_gan
    seed version verdict
    trials_total trials_complete trials_pruned trials_failed trials_unhealthy
    best_trial best_params best_epoch target_val_accuracy target_val_metrics
    test_metrics target_test_recall target_test_confusion verdict_metric
    target_test_accuracy target_test_ci95 target_test_size target_test_evaluations
    source_only_test_accuracy information_only_test_accuracy no_gan_test_accuracy
    fda_test_accuracy target_supervised_test_accuracy gap_closed
    baselines best_baseline search_updates baseline_updates
    best_start_point best_start_point_objective gain_over_start_points search_verdict
    stopping_verdict early_end
    wall_s source_classifier_s device_s_useful device_s_pruned device_s_failed device_s_overhead
    device_s_saved_by_stopping_estimated device_s_to_99_percent_of_best
"""
SCORES = Scores(
    size=400,
    adapted=0.9,
    source_only=0.7,
    information_only=0.8,
    target_supervised=0.95,
    p={"source_only": 0.001, "information_only": 0.001},
)


def best_of(study: SearchStudy) -> TrialCheckpoint:
    trial = study.best_trial()
    assert trial is not None
    assert trial.best_epoch is not None
    spec = make_search().trial(trial.values)
    return TrialCheckpoint(trial.number, trial.values, spec, trial.best_epoch.record, {})


def summarise_nothing(run: SearchRun) -> Summary:
    return summarise(run, best=None, scores=None, evaluations=0, wall_s=9)


@pytest.fixture
def run(tmp_path: Path) -> SearchRun:
    spec = make_search(search={"trials": 3})
    study = simulate(spec, tmp_path / "study.journal", smooth)
    return make_run(tmp_path, spec, study)


def test_every_key_of_the_summary_has_a_description() -> None:
    assert set(Summary.model_fields) == set(KEYS.split())
    for name, field in Summary.model_fields.items():
        assert field.description, name


def test_the_figures_are_those_of_the_search(run: SearchRun) -> None:
    best = best_of(run.study)
    summary = summarise(run, best=best, scores=SCORES, evaluations=1, wall_s=9)
    assert summary.gap_closed == pytest.approx(0.8)
    assert summary.best_params == best.values
    assert summary.best_epoch == best.record.epoch
    assert summary.target_val_accuracy == best.record.target_val_accuracy
    assert summary.target_test_ci95 == SCORES.interval
    assert (summary.target_test_size, summary.target_test_evaluations) == (400, 1)
    assert summary.trials_complete + summary.trials_pruned == summary.trials_total == 3
    complete = [trial for trial in run.study.started_trials() if trial.state.name == "COMPLETE"]
    active_s = sum(trial.active_s for trial in complete)
    assert summary.device_s_useful == pytest.approx(2 * active_s)  # two workers
    assert (summary.execution, summary.workers_per_trial) == ("ray_train", 2)
    assert (summary.wall_s, summary.source_classifier_s) == (9, 0.5)
    assert summary.verdict.startswith("The adapted classifier has 90.0%")
    assert accuracies_by_model(summary) == {
        "source only": 0.7,
        "information only": 0.8,
        "adapted": 0.9,
        "target supervised": 0.95,
    }


def test_the_metrics_of_the_test_are_in_the_file(run: SearchRun, tmp_path: Path) -> None:
    estimate = Estimate(0.75, (0.5, 0.875))
    recall = {"cat": estimate, "dog": None}
    metrics = {name: {"macro_f1": estimate} for name in ("adapted", "no_gan")}
    scores = replace(SCORES, metric="macro_f1", metrics=metrics, recall=recall)
    scores = replace(scores, target_supervised=None)
    metrics["source_only"] = {"macro_f1": estimate}
    summary = summarise(run, best=best_of(run.study), scores=scores, evaluations=1, wall_s=9)
    write_summary(summary, tmp_path / "summary.json")
    stored = json.loads((tmp_path / "summary.json").read_text())
    plain = {"value": 0.75, "ci95": [0.5, 0.875]}
    assert stored["test_metrics"]["no_gan"] == {"macro_f1": plain}
    assert stored["target_test_recall"] == {"cat": plain, "dog": None}
    assert stored["verdict_metric"] == "macro_f1"
    assert stored["target_test_ci95"] == list(SCORES.accuracy_ci95)
    assert stored["target_val_metrics"]["accuracy"] == stored["target_val_accuracy"]
    assert read_summary(tmp_path / "summary.json") == summary
    assert verdict_estimates(summary) == dict.fromkeys(
        ("source only", "no GAN", "adapted"), estimate
    )


def test_the_baselines_and_all_updates_are_in_the_file(run: SearchRun, tmp_path: Path) -> None:
    selected = {
        "information_only": SelectedBaseline("information 1", epoch=2, updates=80),
        "target_supervised": SelectedBaseline("labels of target_train", epoch=9, updates=600),
    }
    scores = replace(SCORES, selected=selected, best_baseline="information_only")
    summary = summarise(run, best=best_of(run.study), scores=scores, evaluations=1, wall_s=9)
    write_summary(summary, tmp_path / "summary.json")
    assert read_summary(tmp_path / "summary.json") == summary
    assert summary.baselines is not None
    first, second = summary.baselines
    assert (first.name, first.setting, first.epoch, first.updates) == (
        "information only",
        "information 1",
        2,
        80,
    )
    assert (first.test_accuracy, second.test_accuracy) == (0.8, 0.95)
    assert first.test_ci95 == accuracy_interval(320, 400)
    assert summary.best_baseline == "information only"
    assert summary.baseline_updates == 680
    epochs = sum(trial.last_epoch for trial in run.study.started_trials())
    assert summary.search_updates == epochs * run.spec.steps_per_epoch


def test_a_summary_of_an_earlier_version_lacks_later_keys(tmp_path: Path) -> None:
    values = make_summary().model_dump(mode="json")
    later = """
        target_val_metrics test_metrics target_test_recall target_test_confusion verdict_metric
        fda_test_accuracy baselines best_baseline search_updates baseline_updates
        best_start_point best_start_point_objective gain_over_start_points search_verdict
        stopping_verdict early_end
    """
    for key in later.split():
        del values[key]
    (tmp_path / "summary.json").write_text(json.dumps(values))
    summary = read_summary(tmp_path / "summary.json")
    assert summary.test_metrics is None
    assert summary.baselines is None
    assert summary.search_verdict is None
    assert verdict_estimates(summary) == {}


def test_the_gain_over_the_start_points_is_in_the_file(tmp_path: Path) -> None:
    spec = make_search(search={"start_points": [{"loss_weights.cycle": 3.0}]})
    study = create_study(spec)
    for accuracy in (0.25, 0.75):
        trial = study.ask()
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=9, error=None, wall_s=1.0)
    summary = summarise_nothing(make_run(tmp_path, spec, study))
    assert summary.best_start_point == 0
    assert summary.best_start_point_objective == 0.25
    assert summary.gain_over_start_points == 0.5
    assert summary.search_verdict == (  # of 9 samples, whose two standard errors are 0.41
        "The best start point, trial 0, has 25.0% on target_val: the search added 50.0 points to"
        " it."
    )


def test_a_search_without_start_points_has_no_gain_over_them(run: SearchRun) -> None:
    summary = summarise_nothing(run)
    assert summary.search_verdict is None
    assert summary.gain_over_start_points is None
    assert summary.best_start_point is None


def test_the_placement_is_that_of_the_best_trial(run: SearchRun) -> None:
    trial = run.study.ask()
    run.study.add_epoch(trial, make_record(9, 0.999), 0.999)
    one = TrialPlacement("in_process", 1)  # the plan of an earlier session
    run.study.tell_result(trial, epochs=9, error=None, wall_s=1.0, placement=one)
    best = best_of(run.study)
    assert best.number == trial.number
    summary = summarise(run, best=best, scores=None, evaluations=0, wall_s=9)
    assert (summary.execution, summary.workers_per_trial) == ("in_process", 1)


def test_without_target_labels_the_verdict_says_what_it_cannot_tell(run: SearchRun) -> None:
    best = best_of(run.study)
    summary = summarise(run, best=best, scores=None, evaluations=0, wall_s=9)
    assert summary.verdict.startswith(
        f"Trial {best.number} has the highest target_val_accuracy. No target sample has a label,"
    )
    assert summary.target_test_accuracy is None
    assert accuracies_by_model(summary) == {}


def test_a_search_without_a_readable_checkpoint_has_no_best_trial(run: SearchRun) -> None:
    summary = summarise_nothing(run)
    assert summary.target_test_accuracy is summary.best_trial is summary.gap_closed is None
    assert summary.verdict.startswith("No checkpoint can be read: there is nothing to export.")


def test_a_search_without_a_finished_trial_has_nothing_to_export(tmp_path: Path) -> None:
    summary = summarise_nothing(make_run(tmp_path, make_search()))
    assert summary.verdict == "No trial finished: there is nothing to export."
    assert (summary.trials_total, summary.device_s_to_99_percent_of_best) == (0, None)


def test_unhealthy_trials_are_counted_by_symptom(tmp_path: Path) -> None:
    spec = make_search()
    study = create_study(spec)
    for symptom in ("collapse: 0.1", None, "collapse: 0.2", "label flip: 4 as 9"):
        trial = study.ask()
        trial.set_user_attr("unhealthy", symptom)
        study.add_epoch(trial, make_record(1, 0.5), 0.5)
    summary = summarise_nothing(make_run(tmp_path, spec, study))
    assert summary.trials_unhealthy == {"collapse": 2, "label flip": 1}


def test_a_summary_is_read_as_it_was_written(run: SearchRun, tmp_path: Path) -> None:
    best = best_of(run.study)
    summary = summarise(run, best=best, scores=SCORES, evaluations=2, wall_s=9)
    path = tmp_path / "summary.json"
    write_summary(summary, path)
    assert read_summary(path) == summary
    tree = json.loads(path.read_text())
    assert tree["format"] == 2
    assert list(tree) == list(Summary.model_fields)
    assert tree["target_test_ci95"] == list(SCORES.interval)


@pytest.mark.parametrize("value", [1, 1.0, True, "resnet18", None])
def test_sampled_values_keep_their_types(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "summary.json"
    write_summary(make_summary(best_params={"model.classifier.name": value}), path)
    params = read_summary(path).best_params
    assert params is not None
    [read] = params.values()
    assert (type(read), read) == (type(value), value)


def damaged(**changes: Any) -> str:
    tree = make_summary().model_dump(mode="json") | changes
    return json.dumps({key: value for key, value in tree.items() if value != "removed"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (damaged(format=1), "format: Input should be 2"),
        (damaged(format="removed"), "format: Field required"),
        (damaged(verdict="removed"), "verdict: Field required"),
        (damaged()[:100], "the file: Invalid JSON"),
        ("", "the file: Invalid JSON"),
        ("\x00", "the file: Invalid JSON"),
    ],
)
def test_an_older_or_damaged_summary_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(ResultsError) as caught:
        read_summary(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged, or of another version of adaptune: {reason}")
    assert message.endswith("The search with --resume writes it again")
    assert "\n" not in message


def test_a_key_of_a_later_version_of_the_same_format_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(damaged(added_later=1))
    assert read_summary(path) == make_summary()


def test_a_missing_or_binary_summary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with pytest.raises(ResultsError, match=r"summary.json cannot be read: No such file"):
        read_summary(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ResultsError, match="is damaged"):
        read_summary(path)
