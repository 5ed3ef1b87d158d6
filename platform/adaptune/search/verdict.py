"""The sealed test: read once for the best model, beside its rivals; and what that says in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adaptune.data.batches import DeviceImages
from adaptune.data.splits import Sealed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.evaluation import evaluate
from adaptune.training.interval import accuracy_interval
from adaptune.training.source import State


@dataclass(frozen=True)
class TestScores:
    """Accuracies on target_test, in [0, 1]; None where a yardstick was not trained."""

    size: int
    adapted: float
    interval: tuple[float, float]  # exact binomial 95% interval of `adapted`
    source_only: float
    information_only: float | None
    supervised: float | None

    @property
    def gap_closed(self) -> float | None:
        """(adapted − source-only) / (target-supervised − source-only); None without a gap."""
        if self.supervised is None or self.supervised <= self.source_only:
            return None
        return (self.adapted - self.source_only) / (self.supervised - self.source_only)


def score_sealed(
    spec: TrialSpec,
    sealed: Sealed,
    classes: int,
    *,
    adapted: State,
    source_only: State,
    information_only: State | None = None,
    supervised: State | None = None,
) -> TestScores:
    """Score all models on target_test."""
    images = DeviceImages(sealed.target_test_images, sealed.target_test_labels, torch.device("cpu"))

    def accuracy(weights: State) -> float:
        classifier = build_classifier(spec.model.classifier, spec.data.target, classes)
        classifier.load_state_dict(weights)
        return evaluate(classifier, images)[0]

    best = accuracy(adapted)
    return TestScores(
        size=len(images),
        adapted=best,
        interval=accuracy_interval(round(best * len(images)), len(images)),
        source_only=accuracy(source_only),
        information_only=None if information_only is None else accuracy(information_only),
        supervised=None if supervised is None else accuracy(supervised),
    )


def verdict(scores: TestScores) -> str:
    """One or two sentences; both rivals are named where they are known."""
    low, high = scores.interval
    said = f"The adapted classifier has {scores.adapted:.1%} on the sealed test ({low:.1%} to {high:.1%}, 95%)"
    gain = scores.adapted - scores.source_only
    if gain <= 0:
        said += f": adaptation did not help, source-only has {scores.source_only:.1%}."
    elif low <= scores.source_only:
        said += (
            f", source-only {scores.source_only:.1%}: the gain of {100 * gain:.1f} points is within chance"
            f" for {scores.size} samples."
        )
    else:
        said += f": adaptation helped, source-only has {scores.source_only:.1%}."
    if scores.information_only is None:
        return f"{said} Information maximisation without a GAN was not tried."
    margin = 100 * (scores.adapted - scores.information_only)
    rival = f"Information maximisation without a GAN has {scores.information_only:.1%}"
    if margin <= 0:
        return f"{said} {rival}: the GAN was not worth its cost here."
    certain = "" if low > scores.information_only else ", too little to be sure of on one seed"
    return f"{said} {rival}: the search is {margin:.1f} points above it{certain}."
