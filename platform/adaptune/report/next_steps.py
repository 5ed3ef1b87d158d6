"""Next steps for a person after a search, or during it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptune.evaluation.stopping_agreement import RungAgreement
from adaptune.evaluation.summary import Summary
from adaptune.report.markup import scale_of
from adaptune.report.trials import ReportTrial, searched_names
from adaptune.results.folder import ResultsFolder
from adaptune.spec.distributions import Choice
from adaptune.spec.schema import SearchSpec

_EDGE = 0.04  # share of a range


@dataclass(frozen=True)
class NextStep:
    """A step that a person may take.

    Attributes:
        reason: why, in one or two sentences.
        command: what to run, if anything.
    """

    reason: str
    command: str | None = None


def next_steps(
    folder: ResultsFolder,
    spec: SearchSpec,
    trials: Sequence[ReportTrial],
    summary: Summary | None,
    agreements: Sequence[RungAgreement],
) -> list[NextStep]:
    """Return the next steps, the most urgent first.

    Args:
        summary: None if the search has not finished.
        agreements: whether early stopping ranked rightly.
    """
    steps = []
    if summary is None:
        steps.append(
            NextStep(
                "The search has not finished. This report shows what is known so far. If the search"
                " was interrupted, run its command again with --resume.",
                f"adaptune status {folder.path}",
            )
        )
    steps += _on_failures(trials)
    best = next((trial for trial in trials if trial.fate == "best"), None)
    if best is not None:
        steps += _on_best(best, spec)
    steps += _on_stopping(agreements)
    if summary is not None and best is not None:
        steps += _on_finished(folder, summary)
    return steps


def _on_failures(trials: Sequence[ReportTrial]) -> list[NextStep]:
    failed = [trial for trial in trials if trial.fate == "failed"]
    if not failed:
        return []
    return [NextStep(f"{len(failed)} trial(s) failed: the table of trials has the error of each.")]


def _on_best(best: ReportTrial, spec: SearchSpec) -> list[NextStep]:
    steps = []
    if best.trial.unhealthy is not None:
        steps.append(
            NextStep(
                f"The best trial has a symptom of an unhealthy GAN ({best.trial.unhealthy}): look"
                " at its translations before you rely on it."
            )
        )
    names = searched_names(spec)
    for path, distribution in spec.space.items():
        value = best.values.get(path)
        if isinstance(distribution, Choice) or not isinstance(value, int | float) or value == 0:
            continue  # 0 switches a term off
        share = scale_of(distribution, 0.0, 1.0)(value)
        if min(share, 1 - share) <= _EDGE:
            side = "lower" if share < 0.5 else "upper"
            steps.append(
                NextStep(
                    f"The best value of {names[path]}, {value:.3g}, is at the {side} end of its"
                    f" range ({distribution.low:g} to {distribution.high:g}): widen the range."
                )
            )
    epoch = best.trial.best_epoch
    if epoch is not None and epoch.number == spec.epochs > 1:
        steps.append(
            NextStep(
                "The best epoch is the last one: longer training (training.epochs) may give more."
            )
        )
    return steps


def _on_stopping(agreements: Sequence[RungAgreement]) -> list[NextStep]:
    first = next(iter(agreements), None)
    if first is None or not first.misleads:
        return []
    return [
        NextStep(
            f"Epoch {first.epoch} says little about the end (Kendall's τ {first.tau:.2f}): raise"
            " search.scheduler.grace_epochs."
        )
    ]


def _on_finished(folder: ResultsFolder, summary: Summary) -> list[NextStep]:
    steps = []
    if not (folder.path / "confirm" / "confirm.parquet").exists():
        steps.append(
            NextStep(
                "One seed decided. Train the best trials again under new seeds before you report"
                " the result.",
                f"adaptune confirm {folder.path}",
            )
        )
    if not (folder.path / "ablation" / "ablation.parquet").exists():
        steps.append(
            NextStep(
                "See which loss terms the result needs: train the best trial without each of them.",
                f"adaptune ablate {folder.path}",
            )
        )
    if summary.best_trial is not None and folder.best.exists():
        steps.append(NextStep("Use the exported model.", f"adaptune predict {folder.best} IMAGES"))
    return steps
