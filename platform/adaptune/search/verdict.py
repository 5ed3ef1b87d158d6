"""What a search found, in plain words."""

from __future__ import annotations

from adaptune.search.sealed import TestScores


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
    elif low <= scores.source_only:
        said += (
            f", source-only {scores.source_only:.1%}: the gain of {100 * gain:.1f} points is within chance"
            f" for {scores.size} samples."
        )
    else:
        said += f": adaptation helped, source-only has {scores.source_only:.1%}."
    return f"{said} {_against_rivals(scores)}"


def _against_rivals(scores: TestScores) -> str:
    known = {
        "the information term alone has {:.1%}": scores.information_only,
        "task and information together {:.1%}": scores.no_gan,
    }
    told = [words.format(rival) for words, rival in known.items() if rival is not None]
    if not told:
        return "Information maximisation without a GAN was not tried."
    best = max(rival for rival in known.values() if rival is not None)
    said = f"Without a GAN, {', '.join(told)}"
    margin = 100 * (scores.adapted - best)
    if margin <= 0:
        return f"{said}: the GAN was not worth its cost here."
    certain = "" if scores.interval[0] > best else ", too little to be sure of on one seed"
    return f"{said}: the search is {margin:.1f} points above{certain}."
