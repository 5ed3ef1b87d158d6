from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_run import (
    constant_classifier,
    make_run,
    make_splits,
    make_tiny_search,
    printed,
    save_checkpoint,
)
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.errors import CheckpointError
from adaptune.evaluation import held_out
from adaptune.evaluation.baseline_choice import Baselines
from adaptune.evaluation.changed_images import read_changed_images
from adaptune.evaluation.held_out import best_checkpoint, evaluate_best, load_trial_checkpoint
from adaptune.evaluation.test_scores import SelectedBaseline
from adaptune.search.driver import SearchRun
from adaptune.study.baseline_objectives import known_baseline_objectives
from adaptune.training.checkpoint import CheckpointFolder

VALUES = {"loss_weights.cycle": 1.0, "loss_weights.identity": 1.0}


def test_the_best_epoch_that_can_be_read_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_search(search={"trials": 3})
    study = simulate(spec, tmp_path / "study.journal", smooth)
    ranked = [(trial.number, epoch.number) for trial, epoch in study.ranked_epochs()]
    lost = ranked[:2]

    def load(checkpoints: CheckpointFolder, epoch: int) -> dict[str, Any]:
        trial = int(Path(checkpoints.path).parent.name)
        if (trial, epoch) in lost:
            raise CheckpointError("no room on the disk")
        return {"epoch": epoch}

    monkeypatch.setattr(CheckpointFolder, "load", load)
    run = make_run(tmp_path, spec, study)
    best = best_checkpoint(run)
    assert best is not None
    assert (best.number, best.record.epoch) == ranked[2]
    assert best.name == f"trial {ranked[2][0]}, epoch {ranked[2][1]}"
    assert best.contents == {"epoch": ranked[2][1]}
    # One line, however many are skipped.
    assert printed(run.console).strip() == (
        f"the best epoch, {lost[0][1]} of trial {lost[0][0]}, is skipped: no room on the disk"
    )
    lost[:] = ranked
    assert best_checkpoint(run) is None


def run_of_one_trial(tmp_path: Path, *, test_samples: int, label: int = 0) -> SearchRun:
    """A search of one trial, whose f_T predicts `label` for all images."""
    spec = make_tiny_search(evaluation={"baselines": False})
    run = make_run(tmp_path, spec, splits=make_splits(test_samples=test_samples))
    trial = run.study.ask()
    record = make_record(2, 0.5)
    run.study.add_epoch(trial, record, 0.5)
    run.study.tell_result(trial, epochs=2, error=None, wall_s=1.0)
    save_checkpoint(spec, run.folder, 0, trial.params, record, label)
    return run


def test_a_checkpoint_is_loaded_with_the_values_and_the_spec_of_its_trial(tmp_path: Path) -> None:
    run = run_of_one_trial(tmp_path, test_samples=4, label=2)
    trial = run.study.trial(0)
    checkpoint = load_trial_checkpoint(run, trial, make_record(2, 0.5))
    assert checkpoint.values == trial.values
    assert checkpoint.spec.loss_weights.cycle == trial.values["loss_weights.cycle"]
    with pytest.raises(CheckpointError):
        load_trial_checkpoint(run, trial, make_record(1, 0.5))


def test_the_checkpoint_of_a_trial_of_a_group_is_in_the_folder_of_its_first_one(
    tmp_path: Path,
) -> None:
    feature = {"search": "uniform", "low": 0, "high": 1}
    spec = make_tiny_search(loss_weights={"feature": feature})
    run = make_run(tmp_path, spec, splits=make_splits(test_samples=4))
    first, member = run.study.ask_group(2)
    record = make_record(2, 0.5)
    run.study.add_epoch(member, record, 0.5)
    run.study.tell_result(member, epochs=2, error=None, wall_s=1.0)
    values = member.params
    save_checkpoint(run.spec, run.folder, member.number, values, record, 2, leader=first.number)
    best = best_checkpoint(run)
    assert best is not None
    assert best.name == "trial 1, epoch 2"
    assert best.values == values != first.params
    assert run.folder.checkpoints(0).epochs() == [2]
    assert run.folder.checkpoints(1).epochs() == []


def test_the_best_model_is_evaluated_once_with_f_s(tmp_path: Path) -> None:
    run: Any = run_of_one_trial(tmp_path, test_samples=8)
    best = best_checkpoint(run)
    assert best is not None
    scores, evaluations = evaluate_best(run, best)
    assert scores is not None
    assert (scores.adapted, scores.source_only, evaluations) == (0.5, 0.25, 1)
    assert "evaluating it and the baselines on the held-out test set" in printed(run.console)
    assert run.tasks.submitted == ["evaluation, 2 CPU"]
    # Other weights of the same epoch are not looked up: the scores are stored.
    changed = replace(run, source_weights=constant_classifier(run.spec.trial({}), 0))
    assert evaluate_best(changed, best) == (scores, 1)


def test_the_evaluation_stores_images_whose_class_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of_one_trial(tmp_path, test_samples=8)  # f_S predicts 1, and f_T predicts 2
    best = best_checkpoint(run)
    assert best is not None
    evaluate_best(run, best)
    changed = read_changed_images(run.folder.changed_images)
    assert changed is not None
    assert changed.model == best.name
    assert (changed.became_wrong, changed.became_right) == (2, 4)
    assert [image.index for image in changed.images] == [1, 5, 0, 2, 4, 6]
    run.folder.changed_images.unlink()
    evaluate_best(run, best)
    assert not run.folder.changed_images.exists()  # it is not evaluated again


def test_an_evaluation_whose_images_cannot_be_stored_has_its_scores(tmp_path: Path) -> None:
    run = run_of_one_trial(tmp_path, test_samples=8)
    best = best_checkpoint(run)
    assert best is not None
    run.folder.changed_images.mkdir()  # no file can take its place
    scores, _ = evaluate_best(run, best)
    assert scores is not None
    assert evaluate_best(run, best) == (scores, 1)
    assert "will not show the images that became right or wrong" in printed(run.console)


def test_source_only_with_statistics_of_the_target_takes_the_place_of_f_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of_one_trial(tmp_path, test_samples=8)
    weights = constant_classifier(run.spec.trial({}), 0)
    selected = {"fda": SelectedBaseline("fourier beta 0.1", epoch=2, updates=8)}
    models = {"source_only": weights, "fda": weights}
    adapted = Baselines(models, selected, "fda", {"source_only": 0.5, "fda": 0.6})
    monkeypatch.setattr(held_out, "train_baselines", lambda *_: adapted)
    best = best_checkpoint(run)
    assert best is not None
    scores, _ = evaluate_best(run, best)
    assert scores is not None
    assert scores.source_only == scores.fda == 0.5
    assert (scores.selected, scores.best_baseline) == (selected, "fda")
    assert known_baseline_objectives(run.study) == {"source_only": 0.5, "fda": 0.6}
    assert evaluate_best(run, best) == (scores, 1)  # from the study


def test_an_interrupted_training_of_the_baselines_is_no_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of_one_trial(tmp_path, test_samples=8)
    best = best_checkpoint(run)
    assert best is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(held_out, "train_baselines", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate_best(run, best)
    assert run.study.optuna_study.user_attrs.keys() == {"metric"}


def test_the_evaluation_needs_target_labels(tmp_path: Path) -> None:
    run = run_of_one_trial(tmp_path, test_samples=0)
    best = best_checkpoint(run)
    assert best is not None
    assert evaluate_best(run, best) == (None, 0)
    assert run.study.optuna_study.user_attrs.keys() == {"metric"}
