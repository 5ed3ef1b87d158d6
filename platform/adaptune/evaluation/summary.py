"""The summary of a search, written to summary.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResultsError
from adaptune.evaluation.costs import search_costs
from adaptune.evaluation.score_figures import BaselineSummary, score_figures
from adaptune.evaluation.search_gain import describe_gain, search_gain
from adaptune.evaluation.stopping_agreement import stopping_verdict
from adaptune.evaluation.test_scores import TestScores
from adaptune.evaluation.trial_figures import trial_figures
from adaptune.evaluation.verdict import verdict
from adaptune.results.folder import write_atomically
from adaptune.spec.distributions import Value
from adaptune.spec.resources import Execution
from adaptune.spec.rungs import rungs
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy
from adaptune.study.trial import TrialPlacement
from adaptune.training.bootstrap import Estimate
from adaptune.version import __version__

if TYPE_CHECKING:  # `status` and `report` read a summary without Ray
    from adaptune.evaluation.held_out import TrialCheckpoint
    from adaptune.search.driver import SearchRun

FORMAT: Literal[2] = 2


class Summary(BaseModel):
    """The figures of a finished search; None if not known. Accuracies are in [0, 1]."""

    # A key that is added later gets a default: summaries of one format stay readable.
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[2] = Field(description="version of this file's format")
    name: str = Field(description="name of the search")
    method: str = Field(description="cycada or cyclegan")
    source: str = Field(description="source domain")
    target: str = Field(description="target domain")
    metric: str = Field(description="metric that the search maximised")
    execution: Execution = Field(description="kind of trial runner, of the best trial")
    workers_per_trial: int = Field(description="workers per trial, of the best trial")
    classifiers_per_gan: int = Field(default=1, description="trials that share a GAN, at most")
    trials_total: int = Field(description="trials that were started")
    trials_complete: int = Field(description="trials that trained all epochs")
    trials_pruned: int = Field(description="trials that were stopped early")
    trials_failed: int = Field(description="trials that failed")
    trials_unhealthy: dict[str, int] = Field(description="unhealthy trials by kind of symptom")
    best_trial: int | None = Field(description="number of the exported trial")
    best_params: dict[str, Value] | None = Field(description="its sampled values")
    best_epoch: int | None = Field(description="its exported epoch")
    target_val_accuracy: float | None = Field(description="its accuracy on target_val")
    target_val_metrics: dict[str, float] | None = Field(
        default=None, description="its metrics on target_val, such as mean_recall"
    )
    target_test_accuracy: float | None = Field(description="its accuracy on target_test")
    target_test_ci95: tuple[float, float] | None = Field(description="exact 95% interval of it")
    target_test_size: int | None = Field(description="number of target_test samples")
    source_only_test_accuracy: float | None = Field(description="test accuracy of source only")
    information_only_test_accuracy: float | None = Field(
        description="test accuracy of f_S adapted by the information term on target images"
    )
    no_gan_test_accuracy: float | None = Field(
        description="test accuracy of f_S adapted by the task term and terms of f_T, without a GAN"
    )
    fda_test_accuracy: float | None = Field(
        default=None,
        description="test accuracy of f_S adapted by the task term on Fourier translations",
    )
    target_supervised_test_accuracy: float | None = Field(
        description="test accuracy of a classifier trained on target labels, the upper bound"
    )
    baselines: tuple[BaselineSummary, ...] | None = Field(
        default=None, description="the baselines that were trained, with their choices"
    )
    best_baseline: str | None = Field(
        default=None, description="name of the best baseline without a GAN by the objective"
    )
    best_start_point: int | None = Field(
        default=None,
        description="number of the best start point by the objective; null without any",
    )
    best_start_point_objective: float | None = Field(
        default=None, description="its objective; null for ensemble, which ranks epochs"
    )
    gain_over_start_points: float | None = Field(
        default=None,
        description="objective of the best trial minus that of the best start point, in the epochs"
        " that both trained; 0 if the best trial is a start point",
    )
    search_verdict: str | None = Field(
        default=None, description="what the search added to the start points, in plain words"
    )
    stopping_verdict: str | None = Field(
        default=None, description="whether early stopping ranked rightly; null if unknown"
    )
    early_end: str | None = Field(
        default=None, description="how search.stop_when ended the search; null if it did not"
    )
    search_updates: int | None = Field(default=None, description="updates of all trials")
    baseline_updates: int | None = Field(default=None, description="updates of all baselines")
    target_test_evaluations: int = Field(
        description="models of this search that were evaluated on target_test"
    )
    test_metrics: dict[str, dict[str, Estimate]] | None = Field(
        default=None,
        description="by model: accuracy, mean_recall, macro_f1 and, for two classes, auroc on"
        " target_test, each with its 95% interval",
    )
    target_test_recall: dict[str, Estimate | None] | None = Field(
        default=None, description="test recall of each class, with its exact 95% interval"
    )
    target_test_confusion: dict[str, list[list[int]]] | None = Field(
        default=None,
        description="of source_only and adapted: test images by class (rows) and prediction"
        " (columns), in the order of target_test_recall",
    )
    verdict_metric: str | None = Field(
        default=None, description="metric that verdict and gap_closed compare"
    )
    gap_closed: float | None = Field(
        description="(adapted − source only) / (target supervised − source only)"
    )
    verdict: str = Field(description="the result in plain words")
    wall_s: float = Field(description="seconds of all sessions of the search")
    device_s_useful: float = Field(description="device seconds of complete trials")
    device_s_pruned: float = Field(description="device seconds of trials stopped early")
    device_s_failed: float = Field(description="device seconds of failed trials")
    device_s_overhead: float = Field(
        description="device seconds held without training or evaluation"
    )
    device_s_saved_by_stopping_estimated: float = Field(
        description="device seconds that stopped trials would have taken at their own pace"
    )
    device_s_to_99_percent_of_best: float | None = Field(
        description="device seconds until an epoch reached 99% of the best objective"
    )
    source_classifier_s: float = Field(description="seconds that the source classifier took")
    seed: int = Field(description="seed of the search")
    version: str = Field(description="version of adaptune")

    @property
    def remarks(self) -> list[str]:
        """Remarks on the search in addition to the verdict, in sentences."""
        remarks = (self.early_end, self.search_verdict, self.stopping_verdict)
        return [remark for remark in remarks if remark is not None]


def summarise(
    run: SearchRun,
    *,
    best: TrialCheckpoint | None,
    scores: TestScores | None,
    evaluations: int,
    wall_s: float,
) -> Summary:
    """Return the summary of a search.

    Args:
        best: the exported checkpoint, if any.
        scores: its test scores, if the target has labels.
        evaluations: number of models of this search that were evaluated on the test set.
        wall_s: seconds of all sessions.
    """
    spec = run.spec
    placement = _placement(run, best)
    figures = trial_figures(run.study)
    figures |= _cost_figures(run.study, run.plan, spec.epochs)
    figures |= _best_figures(best)
    figures |= _gain_figures(run)
    rung_epochs = rungs(spec.search.scheduler, spec.epochs)
    figures["stopping_verdict"] = stopping_verdict(run.study.started_trials(), rung_epochs)
    figures["search_updates"] = _search_updates(run.study, spec)
    figures |= score_figures(scores)
    return Summary.model_validate(
        {
            "format": FORMAT,
            "name": spec.name,
            "method": spec.method,
            "source": spec.data.source.domain,
            "target": spec.data.target.domain,
            "metric": spec.search.metric,
            "execution": placement.execution,
            "workers_per_trial": placement.workers,
            "classifiers_per_gan": spec.search.group_size,
            "target_test_evaluations": evaluations,
            "verdict": _verdict(run.study, best, scores, evaluations),
            "wall_s": wall_s,
            "source_classifier_s": run.source_classifier_s,
            "seed": spec.seed,
            "version": __version__,
            **figures,
        }
    )


def write_summary(summary: Summary, path: Path) -> None:
    """Write summary.json."""
    write_atomically(path, summary.model_dump_json(indent=2) + "\n")


def read_summary(path: Path) -> Summary:
    """Read summary.json.

    Raises:
        ResultsError: it is missing, or not a summary of this version's format.
    """
    try:
        return Summary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultsError(
            f"{path} is damaged, or of another version of adaptune: {key}: {first['msg']}. The"
            " search with --resume writes it again"
        ) from error


def _placement(run: SearchRun, best: TrialCheckpoint | None) -> TrialPlacement:
    """Return where the best trial ran; a resumed search may have another plan now."""
    placement = None if best is None else run.study.trial(best.number).placement
    return placement or TrialPlacement(run.plan.execution, run.plan.resources.workers)


def _cost_figures(study: SearchStudy, plan: PlacementPlan, epochs: int) -> dict[str, object]:
    costs = search_costs(study, epochs=epochs, workers=plan.resources.workers)
    return {
        "device_s_useful": costs.complete,
        "device_s_pruned": costs.pruned,
        "device_s_failed": costs.failed,
        "device_s_overhead": costs.overhead,
        "device_s_saved_by_stopping_estimated": costs.saved_by_stopping,
        "device_s_to_99_percent_of_best": costs.to_99_percent_of_best,
    }


def _best_figures(best: TrialCheckpoint | None) -> dict[str, object]:
    return {
        "best_trial": best.number if best else None,
        "best_params": dict(best.values) if best else None,
        "best_epoch": best.record.epoch if best else None,
        "target_val_accuracy": best.record.target_val_accuracy if best else None,
        "target_val_metrics": best.record.target_metrics() if best else None,
    }


def _gain_figures(run: SearchRun) -> dict[str, object]:
    gain = search_gain(run.study)
    if gain is None:
        return {}
    samples = len(run.splits.trial.target_val_labels)
    return {
        "best_start_point": gain.start_point,
        "best_start_point_objective": gain.start_point_value,
        "gain_over_start_points": gain.gain,
        "search_verdict": describe_gain(gain, run.study.metric, samples),
    }


def _search_updates(study: SearchStudy, spec: SearchSpec) -> int:
    epochs = sum(trial.last_epoch for trial in study.started_trials())
    return epochs * spec.steps_per_epoch


def _verdict(
    study: SearchStudy,
    best: TrialCheckpoint | None,
    scores: TestScores | None,
    evaluations: int,
) -> str:
    if scores is not None:
        return verdict(scores, evaluations)
    if best is not None:
        return (
            f"Trial {best.number} has the highest {study.metric}. No target sample has a label, so"
            " it is unknown whether, or how much, adaptation helped."
        )
    if study.best_trial() is None:
        return "No trial finished: there is nothing to export."
    return (
        "No checkpoint can be read: there is nothing to export. If the disk was full, make room,"
        " and run the same command with --resume and more --trials."
    )
