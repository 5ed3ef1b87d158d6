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
    if scores.information_only is None:
        return f"{said} Information maximisation without a GAN was not tried."
    margin = 100 * (scores.adapted - scores.information_only)
    rival = f"Information maximisation without a GAN has {scores.information_only:.1%}"
    if margin <= 0:
        return f"{said} {rival}: the GAN was not worth its cost here."
    certain = "" if low > scores.information_only else ", too little to be sure of on one seed"
    return f"{said} {rival}: the search is {margin:.1f} points above it{certain}."
