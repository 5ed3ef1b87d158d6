"""The result of a search in plain words."""

from __future__ import annotations

from adaptune.evaluation.test_scores import NAMES, TestScores
from adaptune.training.metrics import ACCURACY
from adaptune.training.significance import SIGNIFICANCE_LEVEL

WITH_ARTICLE = {"mean_recall": "a mean recall", "macro_f1": "a macro F1", "auroc": "an AUROC"}


def verdict(scores: TestScores, evaluations: int = 1) -> str:
    """Return a few sentences on the gain over source only and over the best method without a GAN.

    Args:
        evaluations: number of models of this search that were evaluated on the test set.
    """
    text = f"{_against_source_only(scores)} {_against_baselines(scores)}"
    if evaluations > 1:
        text += (
            f" The test set has been evaluated for {evaluations} models of this search; its score"
            " is likely optimistic."
        )
    return text


def _against_source_only(scores: TestScores) -> str:
    low, high = scores.interval
    adapted = scores.adapted_value
    source_only = scores.source_only_value
    metric = "" if scores.metric == ACCURACY else f" {WITH_ARTICLE[scores.metric]} of"
    text = (
        f"The adapted classifier has{metric} {adapted:.1%} on the held-out test set"
        f" ({low:.1%} to {high:.1%}, 95%)"
    )
    gain = adapted - source_only
    if gain <= 0:
        return f"{text}: adaptation did not help, source only has {source_only:.1%}."
    if scores.p["source_only"] >= SIGNIFICANCE_LEVEL:
        return (
            f"{text}, source only {source_only:.1%}: the gain of {100 * gain:.1f} points is"
            f" within chance for {scores.size} samples."
        )
    return f"{text}: adaptation helped, source only has {source_only:.1%}."


def _against_baselines(scores: TestScores) -> str:
    """Return whether the GAN was worth it over the best method without one."""
    best = scores.best_without_gan
    value = None if best is None else scores.value(best)
    if best is None or value is None:
        return "No method without a GAN was tried."
    # Another one may be better on the test.
    ranking = ", by the objective of the search," if scores.best_baseline is not None else ""
    text = f'The best method without a GAN{ranking} is "{NAMES[best]}"'
    selected = scores.selected.get(best)
    if selected is not None:
        text += f" ({selected.setting}; epoch {selected.epoch})"
    text += f" with {value:.1%}"
    margin = 100 * (scores.adapted_value - value)
    if margin <= 0:
        return f"{text}: the GAN was not worth its cost here."
    if scores.p[best] >= SIGNIFICANCE_LEVEL:
        return (
            f"{text}: the search is {margin:.1f} points better, which is within chance for"
            f" {scores.size} samples."
        )
    return (
        f"{text}: the search is {margin:.1f} points better, so the GAN was worth it here."
        " `adaptune confirm` tells whether it is with other seeds."
    )
