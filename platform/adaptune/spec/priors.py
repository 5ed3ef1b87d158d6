"""Published loss weights, and the values around which a search begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptune.spec.base import Method
from adaptune.spec.diagnostics import Diagnostics, dotted
from adaptune.spec.distributions import Choice, Distribution

# By method, the absolute weight of each term. CycleGAN's identity weight is half of its cycle
# weight. CyCADA's paper has none; these are from its released code, which has no identity term.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "cyclegan": {"adversarial": 1, "cycle": 10, "identity": 5},
    "cycada": {"task": 1, "adversarial": 1, "cycle": 1, "semantic": 1, "feature": 0.1},
}
SAMPLERS_WITH_PRIOR = ("tpe", "curves")
_SPREAD = 0.2  # share of the range: a factor of 2.5 of a range over two powers of ten
_SECTION = "loss_weights."


@dataclass(frozen=True)
class Belief:
    """A prior with its numbers.

    Attributes:
        center: the most probable value.
        spread: standard deviation; of a logarithmic range, that of the natural logarithm.
    """

    center: float
    spread: float


def beliefs(space: Mapping[str, Distribution], method: Method) -> dict[str, Belief]:
    """Return the priors of a space by dotted path; without any, it is empty."""
    found = {}
    for path, distribution in space.items():
        if isinstance(distribution, Choice) or distribution.prior is None:
            continue
        center = _center(path, distribution.prior.center, method)
        if center is not None:
            spread = distribution.prior.spread or _SPREAD * distribution.width
            found[path] = Belief(center, spread)
    return found


def check_priors(
    space: Mapping[str, Distribution], method: object, sampler: object, diagnostics: Diagnostics
) -> None:
    """Refuse a prior that the sampler does not read, that is not known or out of its range.

    Args:
        space: distributions by dotted path.
        method: method of the search.
        sampler: name of the sampler.
    """
    for path, distribution in space.items():
        if isinstance(distribution, Choice) or distribution.prior is None:
            continue
        key = (*path.split("."), "prior")
        center = _center(path, distribution.prior.center, str(method))
        if sampler not in SAMPLERS_WITH_PRIOR:
            readers = " and ".join(SAMPLERS_WITH_PRIOR)
            message = f"sampler {sampler} does not read it; {readers} do"
        elif center is None:
            known = ", ".join(PUBLISHED.get(str(method), ()))
            message = f"no weight is published for it; give a number. Published: {known}"
        elif not distribution.low <= center <= distribution.high:
            message = f"{center:g} is not from {distribution.low:g} to {distribution.high:g}"
        else:
            continue
        diagnostics.add(key, f"{dotted(key)}: {message}")


def _center(path: str, center: float | str, method: str) -> float | None:
    if not isinstance(center, str):
        return center
    if not path.startswith(_SECTION):
        return None
    return PUBLISHED.get(method, {}).get(path.removeprefix(_SECTION))
