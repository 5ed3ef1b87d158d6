"""What a search found, in plain words."""

from __future__ import annotations

from adaptune.evaluation.test_scores import TestScores

LEVEL = 0.05
_TOLD = {
    "information_only": "the information term alone has {:.1%}",
    "no_gan": "task and information together {:.1%}",
}


def verdict(scores: TestScores, looks: int = 1) -> str:
    """A few sentences; both rivals are named where they are known, and so are earlier looks at the sealed test."""
    said = _verdict(scores)
    if looks > 1:
        said += f" The sealed test was looked at for {looks} models of this search: it is less sealed with each."
    return said


def _verdict(scores: TestScores) -> str:
    low, high = scores.interval
    said = f"The adapted classifier has {scores.adapted:.1%} on the sealed test ({low:.1%} to {high:.1%}, 95%)"
    gain = scores.adapted - scores.source_only
    if gain <= 0:
        said += f": adaptation did not help, source-only has {scores.source_only:.1%}."
    elif scores.p["source_only"] >= LEVEL:
        said += (
            f", source-only {scores.source_only:.1%}: the gain of {100 * gain:.1f} points is within chance"
            f" for {scores.size} samples."
        )
    else:
        said += f": adaptation helped, source-only has {scores.source_only:.1%}."
    return f"{said} {_against_rivals(scores)}"


def _against_rivals(scores: TestScores) -> str:
    tried = {"information_only": scores.information_only, "no_gan": scores.no_gan}
    known = {name: accuracy for name, accuracy in tried.items() if accuracy is not None}
    if not known:
        return "Information maximisation without a GAN was not tried."
    said = "Without a GAN, " + ", ".join(
        _TOLD[name].format(accuracy) for name, accuracy in known.items()
    )
    best = max(known, key=known.__getitem__)
    margin = 100 * (scores.adapted - known[best])
    if margin <= 0:
        return f"{said}: the GAN was not worth its cost here."
    certain = "" if scores.p[best] < LEVEL else ", too little to be sure of on one seed"
    return f"{said}: the search is {margin:.1f} points above{certain}."
