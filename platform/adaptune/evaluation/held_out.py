"""The best checkpoint of a search, and its evaluation on the held-out test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adaptune.data.image_set import ImageSet
from adaptune.errors import CheckpointError, DataError
from adaptune.evaluation.baselines import train_baselines
from adaptune.evaluation.changed_images import find_changed_images, write_changed_images
from adaptune.evaluation.predictions import predict
from adaptune.evaluation.test_scores import (
    TestScores,
    evaluate_once,
    model_name,
    score_on_test,
    stored_scores,
)
from adaptune.search.driver import SearchRun
from adaptune.spec.distributions import Value
from adaptune.spec.schema import TrialSpec
from adaptune.study.baseline_objectives import store_baseline_objectives
from adaptune.study.job import make_job
from adaptune.study.trial import StudyTrial
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.metrics import Predictions, judging_metric
from adaptune.training.record import ENSEMBLE, EpochRecord
from adaptune.training.state import StateDict


@dataclass(frozen=True)
class TrialCheckpoint:
    """A checkpoint of a trial.

    Attributes:
        number: number of the trial.
        values: sampled values by dotted path.
        spec: resolved spec of the trial.
        record: record of the epoch.
        contents: contents of the checkpoint, as `CheckpointFolder.load` returns them.
    """

    number: int
    values: Mapping[str, Value]
    spec: TrialSpec
    record: EpochRecord
    contents: dict[str, Any]

    @property
    def name(self) -> str:
        """Description for the user, unique in a search."""
        return model_name(self.number, self.record.epoch)


def best_checkpoint(run: SearchRun) -> TrialCheckpoint | None:
    """Return the best checkpoint that can be read, or None without any.

    The best one of all may be missing, for example because the disk was full.
    """
    warned = False
    for trial, epoch in run.study.ranked_epochs():
        try:
            return load_trial_checkpoint(run, trial, epoch.record)
        except CheckpointError as error:
            if not warned:
                run.console.print(
                    f"the best epoch, {epoch.number} of trial {trial.number}, is skipped: {error}",
                    style="red",
                )
            warned = True
    return None


def load_trial_checkpoint(
    run: SearchRun, trial: StudyTrial, record: EpochRecord
) -> TrialCheckpoint:
    """Load the checkpoint of an epoch.

    Raises:
        CheckpointError: it cannot be read.
    """
    job = make_job(
        run.spec, trial.number, trial.values, run.folder, run.inputs, leader=trial.leader
    )
    contents = job.checkpoints.load(record.epoch)
    return TrialCheckpoint(trial.number, trial.values, job.spec, record, contents)


def evaluate_best(run: SearchRun, best: TrialCheckpoint) -> tuple[TestScores | None, int]:
    """Return the test scores of the best model and the baselines.

    Returns:
        The scores, or None if no target sample has a label; and the number of models that have been
        evaluated on this test set.
    """
    withheld = run.splits.withheld
    if not len(withheld.target_test_labels):
        return None, 0

    stored = stored_scores(run.study, best.name)
    if stored is not None:
        return stored
    run.console.print("evaluating it and the baselines on the held-out test set")
    models: dict[str, StateDict] = {
        "adapted": eval_weights(best.contents, "f_t"),
        "source_only": run.source_weights,
    }
    spec = run.spec.trial(best.values, seed=run.spec.seed)
    baselines = train_baselines(run, spec, run.spec.evaluation.baselines)
    models |= baselines.weights
    if run.spec.search.metric != ENSEMBLE:  # which ranks them among themselves
        store_baseline_objectives(run.study, baselines.objectives, run.inputs.source_classifier)

    def score() -> TestScores:
        images, labels = withheld.target_test_images, withheld.target_test_labels
        predictions = predict(run, best.spec, models, images, labels)
        metric = judging_metric(run.spec.search.metric)
        scores = score_on_test(predictions, metric=metric, seed=best.spec.seed)
        _store_changed_images(run, best.name, predictions, images)
        return replace(scores, selected=baselines.selected, best_baseline=baselines.best)

    # The baselines are trained before: an interruption of that is no evaluation.
    return evaluate_once(run.study, best.name, score)


def _store_changed_images(
    run: SearchRun, model: str, predictions: Mapping[str, Predictions], images: ImageSet
) -> None:
    """Store the images for the report; the scores do not depend on their success."""
    try:
        changed = find_changed_images(
            model, predictions["source_only"], predictions["adapted"], images
        )
        write_changed_images(changed, run.folder.changed_images)
    except (OSError, DataError) as error:
        run.console.print(
            f"the report will not show the images that became right or wrong: {error}",
            style="yellow",
        )
