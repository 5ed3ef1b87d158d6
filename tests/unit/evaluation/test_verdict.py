from __future__ import annotations

from dataclasses import replace

import pytest

from adaptune.evaluation.test_scores import SelectedBaseline
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.evaluation.verdict import verdict
from adaptune.training.bootstrap import Estimate


def scores(adapted: float, source_only: float, p: float = 0.001, **baselines: float) -> Scores:
    names = ("source_only", "information_only", "no_gan", "fda")
    p_values = dict.fromkeys(names, p)
    return Scores(size=400, adapted=adapted, source_only=source_only, p=p_values, **baselines)


@pytest.mark.parametrize(
    ("test_scores", "sentence"),
    [
        (scores(0.9, 0.8), ": adaptation helped, source only has 80.0%."),
        (scores(0.9, 0.87, p=0.06), "the gain of 3.0 points is within chance for 400 samples."),
        (scores(0.9, 0.9), ": adaptation did not help, source only has 90.0%."),
        (scores(0.9, 0.95), ": adaptation did not help, source only has 95.0%."),
        (scores(0.9, 0.8), "No method without a GAN was tried."),
        (
            scores(0.9, 0.8, information_only=0.9),
            '"information only" with 90.0%: the GAN was not worth its cost here.',
        ),
        (
            scores(0.9, 0.8, no_gan=0.8),
            '"no GAN" with 80.0%: the search is 10.0 points better, so the GAN was worth it here.',
        ),
        (
            scores(0.9, 0.8, p=0.06, fda=0.88),
            '"FDA" with 88.0%: the search is 2.0 points better, which is within chance for 400'
            " samples.",
        ),
    ],
)
def test_the_verdict_is_plain(test_scores: Scores, sentence: str) -> None:
    text = verdict(test_scores)
    assert text.startswith(
        "The adapted classifier has 90.0% on the held-out test set (86.6% to 92.8%, 95%)"
    )
    assert sentence in text


@pytest.mark.parametrize(
    ("metric", "beginning"),
    [
        ("mean_recall", "The adapted classifier has a mean recall of 70.0% on the held-out test"),
        ("macro_f1", "The adapted classifier has a macro F1 of 70.0% on the held-out test set"),
        ("auroc", "The adapted classifier has an AUROC of 70.0% on the held-out test set"),
    ],
)
def test_the_verdict_compares_by_the_metric_of_the_search(metric: str, beginning: str) -> None:
    values = {"adapted": 0.7, "source_only": 0.5, "no_gan": 0.75}
    metrics = {name: {metric: Estimate(value, (0.6, 0.8))} for name, value in values.items()}
    p_values = {"source_only": 0.001, "no_gan": 0.001}
    # By accuracy, the adapted model would be the worst but for `no GAN`.
    test_scores = Scores(400, 0.8, 0.9, no_gan=0.6, p=p_values, metric=metric, metrics=metrics)
    text = verdict(test_scores)
    assert text.startswith(beginning)
    assert "(60.0% to 80.0%, 95%): adaptation helped, source only has 50.0%." in text
    assert text.endswith('"no GAN" with 75.0%: the GAN was not worth its cost here.')


def test_the_comparison_is_with_the_baseline_that_the_objective_chose_not_the_test() -> None:
    test_scores = scores(0.9, 0.8, no_gan=0.85, fda=0.95)
    assert '"FDA" with 95.0%: the GAN was not worth' in verdict(test_scores)  # nothing chose
    selected = {"no_gan": SelectedBaseline("task 1, feature 0.3", epoch=7, updates=800)}
    chosen = replace(test_scores, selected=selected, best_baseline="no_gan")
    assert verdict(chosen).endswith(
        'The best method without a GAN, by the objective of the search, is "no GAN" (task 1,'
        " feature 0.3; epoch 7) with 85.0%:"
        " the search is 5.0 points better, so the GAN was worth it here. `adaptune confirm` tells"
        " whether it is with other seeds."
    )


def test_earlier_evaluations_of_the_test_are_counted() -> None:
    assert "evaluated for" not in verdict(scores(0.9, 0.8), evaluations=1)
    assert "evaluated for 2 models" in verdict(scores(0.9, 0.8), evaluations=2)
    text = verdict(scores(0.9, 0.8), evaluations=3)
    assert text.endswith(
        " The test set has been evaluated for 3 models of this search; its score is likely"
        " optimistic."
    )
