"""Decisions of a search that models the learning curves of its trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from adaptune.curves.candidates import (
    RANDOM_CANDIDATES,
    SPREADS,
    draw_candidates,
    draw_near,
)
from adaptune.curves.fit import fit_kernel
from adaptune.curves.kernel import Array, Kernel
from adaptune.curves.model import CurveModel, Observations
from adaptune.curves.outlook import chance_of_gain
from adaptune.curves.prior import SpacePrior, prior_weight

_FIRST_AUDITS = 2  # with their whole curves, the first model knows whether early epochs mislead
_NEXT_AUDIT = 8  # from then on, each time that the number of trials has doubled
_SMALL_CHANCE = 0.05
_POINTS = 256  # observations of the model; more of them make proposals of long searches wait
_DETAILED_CURVES = 16  # the best ones, with epochs between the first and the last one
_INNER_EPOCHS = (2, 4, 8, 16, 32, 64)
_COMPARED = 64  # settings so far, the best ones, that are compared with others
_GROWTH = 1.1  # of the number of ended trials from one fit of the kernel to the next


@dataclass(frozen=True)
class Curve:
    """A trial as the model sees it.

    Attributes:
        number: number of the trial.
        positions: its settings, each in [0, 1].
        values: value after each epoch; higher is better.
        has_ended: whether it trains no more.
        has_failed: whether it ended with an error.
    """

    number: int
    positions: tuple[float, ...]
    values: Mapping[int, float]
    has_ended: bool = False
    has_failed: bool = False

    @property
    def last_epoch(self) -> int:
        """Number of the last epoch; 0 without any."""
        return max(self.values, default=0)


_Point = tuple[Curve, int, float]  # trial, epoch, value


class CurveSearch:
    """Proposes settings, and stops trials that will hardly become the best.

    All that it returns is a function of the curves. It remembers the fitted kernel only.

    Args:
        horizon: number of the last epoch of a trial that is not stopped.
        startup: ended trials before the first decision.
        features: function from positions (M, P) to the settings that the kernel compares (M, D).
        images: number of images that a value counts, if it is a share of images; otherwise None.
        prior: prior of the positions; its weight fades as trials end.
    """

    def __init__(
        self,
        horizon: int,
        startup: int,
        features: Callable[[Array], Array],
        images: int | None,
        prior: SpacePrior | None = None,
    ) -> None:
        self._horizon = horizon
        self._startup = startup
        self._features = features
        self._images = images
        self._prior = prior or SpacePrior({})
        self._fitted: tuple[tuple[int, ...], Kernel | None] = ((), None)

    def propose(
        self, curves: Sequence[Curve], fixed: Mapping[int, float], random: np.random.Generator
    ) -> Array | None:
        """Return the positions of the next trial (P,); None if there is no model to trust.

        Its settings have the highest expected improvement at the last epoch, as if the trials that
        run ended as expected.

        Args:
            curves: all trials so far, in order.
            fixed: positions that are not to be chosen, by index.
        """
        kernel = self._kernel(curves)
        if kernel is None:
            return None
        observations = self._observations(curves)
        model = CurveModel(observations, kernel, self._horizon)
        running = [curve for curve in curves if not curve.has_ended]
        positions = np.array([curve.positions for curve in curves if curve.values])
        expected, _ = model.predict(self._features(positions), self._horizon)
        best = float(expected.max())
        if running:
            model = CurveModel(self._with_ends(observations, running, model), kernel, self._horizon)
        leaders = positions[np.argsort(-expected, kind="stable")[:3]]
        candidates = draw_candidates(leaders, self._prior, fixed, random)
        ended = sum(curve.has_ended for curve in curves)
        weight = prior_weight(self._startup, ended)
        chosen = candidates[[self._best_of(candidates, model, best, weight)]]
        refined = np.vstack([chosen, draw_near(chosen, SPREADS[:1], fixed, random)])
        proposal: Array = refined[self._best_of(refined, model, best, weight)]
        return proposal

    def _best_of(self, candidates: Array, model: CurveModel, best: float, weight: float) -> int:
        """Return the index of the candidate with the highest expected gain, times the prior."""
        means, stds = model.predict(self._features(candidates), self._horizon)
        gains = expected_gain(means, stds, best)
        if self._prior:
            gains *= np.exp(weight * self._prior.log_density(candidates))
        return int(gains.argmax())

    def chance_of_gain(self, curves: Sequence[Curve], gain: float) -> float | None:
        """Return the probability that some setting is better than the best so far by `gain`.

        None if there is no model to trust.

        Args:
            curves: trials that have ended.
            gain: in units of the objective.
        """
        kernel = self._kernel(curves)
        if kernel is None:
            return None
        model = CurveModel(self._observations(curves), kernel, self._horizon)
        positions = np.array([curve.positions for curve in curves if curve.values])
        means, _ = model.predict(self._features(positions), self._horizon)
        best_first = positions[np.argsort(-means, kind="stable")[:_COMPARED]]
        random = np.random.default_rng(len(curves))
        others = draw_candidates(best_first[:3], self._prior, {}, random)
        is_logit = self._images is not None
        return chance_of_gain(
            model, best_first, others, self._features, gain, self._horizon, is_logit=is_logit
        )

    def is_ready(self, curves: Sequence[Curve]) -> bool:
        """Return whether there is a model to trust."""
        return self._kernel(curves) is not None

    def stops(self, curves: Sequence[Curve], number: int) -> bool:
        """Return whether a trial is to be stopped, by a model that `is_ready`.

        It is if it has a small chance to become the best, or if its remaining epochs are expected
        to gain less than as many epochs of a new trial.
        """
        kernel = self._kernel(curves)
        assert kernel is not None
        model = CurveModel(self._observations(curves), kernel, self._horizon)
        contenders = [curve for curve in curves if self._may_become_best(curve)]
        means, stds = model.predict_trials(
            self._features(np.array([curve.positions for curve in contenders])),
            np.array([curve.number for curve in contenders]),
            self._horizon,
        )
        own = next(index for index, curve in enumerate(contenders) if curve.number == number)
        others = np.delete(means, own)
        if not len(others):
            return False
        best_other = float(others.max())
        if ndtr((means[own] - best_other) / stds[own]) < _SMALL_CHANCE:
            return True
        gain = expected_gain(means[[own]], stds[[own]], best_other)[0]
        remaining = self._horizon - contenders[own].last_epoch
        return bool(gain / remaining < self._gain_of_new_trial(model, curves) / self._horizon)

    def _may_become_best(self, curve: Curve) -> bool:
        """Return whether a trial runs, or has trained all epochs."""
        return bool(curve.values) and (not curve.has_ended or curve.last_epoch >= self._horizon)

    def _gain_of_new_trial(self, model: CurveModel, curves: Sequence[Curve]) -> float:
        """Return the expected gain of a new trial over the best settings so far."""
        positions = np.array([curve.positions for curve in curves if curve.values])
        expected, _ = model.predict(self._features(positions), self._horizon)
        random = np.random.default_rng(len(curves))
        candidates = random.uniform(size=(RANDOM_CANDIDATES, positions.shape[1]))
        means, stds = model.predict(self._features(candidates), self._horizon)
        return float(expected_gain(means, stds, float(expected.max())).max())

    def _kernel(self, curves: Sequence[Curve]) -> Kernel | None:
        """Return the kernel; None for too few trials, or if it predicts none of them."""
        ended = [curve for curve in curves if curve.has_ended and curve.values]
        if len(ended) < self._startup:
            return None
        count = self._startup
        while int(count * _GROWTH) + 1 <= len(ended):
            count = int(count * _GROWTH) + 1
        numbers = tuple(curve.number for curve in ended[:count])
        if self._fitted[0] != numbers:
            observations = self._observations(ended[:count])
            kernel: Kernel | None = fit_kernel(observations, self._horizon)
            assert kernel is not None
            model = CurveModel(observations, kernel, self._horizon)
            if not model.leave_one_out_correlation() > 0:
                kernel = None
            self._fitted = (numbers, kernel)
        return self._fitted[1]

    def _observations(self, curves: Sequence[Curve]) -> Observations:
        """Return the observations of the model; those of running trials are all among them."""
        known = [curve for curve in curves if curve.values or curve.has_failed]
        worst = min(min(curve.values.values()) for curve in known if curve.values)
        running: list[_Point] = []
        ended: list[_Point] = []
        best_first = sorted(known, key=lambda curve: -max(curve.values.values(), default=worst))
        for rank, curve in enumerate(best_first):
            points = ended if curve.has_ended else running
            points += _points(curve, worst, has_inner=rank < _DETAILED_CURVES)
        room = max(_POINTS - len(running), 0)
        if len(ended) > room:
            ended = [ended[index * len(ended) // room] for index in range(room)]
        points = [*running, *ended]
        values = np.array([value for _, _, value in points])
        variances = np.zeros(len(values))
        if self._images is not None:
            values, variances = logit(values, self._images)
        return Observations(
            settings=self._features(np.array([curve.positions for curve, _, _ in points])),
            epochs=np.array([epoch for _, epoch, _ in points]),
            trials=np.array([curve.number for curve, _, _ in points]),
            values=values,
            variances=variances,
        )

    def _with_ends(
        self, observations: Observations, running: Sequence[Curve], model: CurveModel
    ) -> Observations:
        """Return the observations with the expected ends of the running trials."""
        settings = self._features(np.array([curve.positions for curve in running]))
        expected, _ = model.predict(settings, self._horizon)
        count = len(running)
        return Observations(
            settings=np.vstack([observations.settings, settings]),
            epochs=np.append(observations.epochs, np.full(count, self._horizon)),
            trials=np.append(observations.trials, [curve.number for curve in running]),
            values=np.append(observations.values, expected),
            variances=np.append(observations.variances, np.zeros(count)),
        )


def _points(curve: Curve, worst: float, *, has_inner: bool) -> list[_Point]:
    """Return the first and the last epoch of a trial, and perhaps some between them.

    A trial that failed has the worst value of all trials in the epoch that it did not reach.
    """
    epochs = set()
    if curve.values:
        epochs = {min(curve.values), curve.last_epoch}
    if has_inner:
        epochs |= {epoch for epoch in _INNER_EPOCHS if epoch in curve.values}
    points = [(curve, epoch, curve.values[epoch]) for epoch in sorted(epochs)]
    if curve.has_failed:
        points.append((curve, curve.last_epoch + 1, worst))
    return points


def is_audited(number: int) -> bool:
    """Return whether a trial is never stopped, to show whether early epochs rank as the last one.

    These are the first two trials, the 8th, the 16th, the 32nd and so on: a constant share of all
    trials would take more epochs than the trials that are stopped.

    Args:
        number: number of the trial, from 0.
    """
    count = number + 1
    return count <= _FIRST_AUDITS or (count >= _NEXT_AUDIT and count.bit_count() == 1)


def expected_gain(means: Array, stds: Array, best: float) -> Array:
    """Return the expected improvement of normal values (M,) over the best so far: (M,)."""
    z = (means - best) / stds
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    gains: Array = stds * (z * ndtr(z) + density)
    return gains


def logit(shares: Array, images: int) -> tuple[Array, Array]:
    """Return the log odds of shares of correct images, and the variances of their noise."""
    bound = 0.5 / images
    inner = np.clip(shares, bound, 1 - bound)
    return np.log(inner / (1 - inner)), 1 / (images * inner * (1 - inner))
