"""The sampler and the early stopping that model learning curves, from the study alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from adaptune.curves.search import Curve, CurveSearch, is_audited
from adaptune.curves.space import UnitSpace
from adaptune.spec.algorithms import CurveStopping
from adaptune.spec.distributions import Distribution
from adaptune.spec.priors import Belief
from adaptune.spec.search import SearchOptions
from adaptune.study.parameters import decode, encode
from adaptune.study.trial import FIXED
from adaptune.training.metrics import ACCURACY, metric_of

_IMAGES = "target_val_images"
_GROWTH = 1.4  # ratio of the epochs of neighbouring decisions


class StudyCurves:
    """Proposals and stops by a model of the learning curves of a study.

    Args:
        study: the Optuna study.
        options: options of the search.
        space: the searched values, by dotted path.
        priors: priors of some of them.
        epochs: number of epochs of a trial that is not stopped.
    """

    def __init__(
        self,
        study: optuna.Study,
        options: SearchOptions,
        space: Mapping[str, Distribution],
        priors: Mapping[str, Belief],
        epochs: int,
    ) -> None:
        self._study = study
        self._space = space
        self._unit_space = UnitSpace(space)
        self._prior = self._unit_space.space_prior(priors)
        self._options = options
        self._epochs = epochs
        self._search = self._new_search()

    @property
    def dimensions(self) -> int:
        """Number of searched values."""
        return len(self._space)

    def note_images(self, images: int) -> None:
        """Store how many images an accuracy on target_val counts, from which its noise is known."""
        if self._study.user_attrs.get(_IMAGES) is None:
            self._study.set_user_attr(_IMAGES, images)
        self._search = self._new_search()

    def _new_search(self) -> CurveSearch:
        images = None
        if metric_of(self._options.metric) == ACCURACY:  # the noise of others is not binomial
            images = self._study.user_attrs.get(_IMAGES) or None
        features = self._unit_space.features
        startup = self._options.startup_trials
        return CurveSearch(self._epochs, startup, features, images, self._prior)

    def propose(self, trial: FrozenTrial, seed: int) -> dict[str, object] | None:
        """Return the parameters of a new trial; None as long as there is no model to trust.

        Args:
            trial: the trial, with the parameters that are fixed.
        """
        fixed = self._unit_space.fixed(decode(self._space, trial.system_attrs.get(FIXED, {})))
        curves = self._curves(but=trial.number)
        positions = self._search.propose(curves, fixed, np.random.default_rng(seed))
        if positions is None:
            return None
        return dict(encode(self._space, self._unit_space.values(positions)))

    def stops(self, number: int, epoch: int, value: float, *, otherwise: bool) -> bool:
        """Return whether a running trial is stopped after an epoch.

        Args:
            value: its objective; the study need not have it yet.
            otherwise: the decision of ASHA, which holds as long as there is no model to trust, and
                if the search has another scheduler.
        """
        scheduler = self._options.scheduler
        if not isinstance(scheduler, CurveStopping) or epoch < scheduler.grace_epochs:
            return otherwise
        if is_audited(number):
            return False
        curves = self._curves(but=None)
        for index, curve in enumerate(curves):
            if curve.number == number:
                values = {**curve.values, epoch: value}
                curves[index] = Curve(number, curve.positions, values)
        if not self._search.is_ready(curves):
            return otherwise
        return _is_due(epoch) and self._search.stops(curves, number)

    def is_ready(self) -> bool:
        """Return whether there is a model to trust."""
        return self._search.is_ready(self._curves(but=None))

    def chance_of_gain(self, gain: float) -> float | None:
        """Return the probability that some setting is better than the best so far by `gain`.

        Only trials that have ended count, so that the answer is the same after a kill. None as
        long as there is no model to trust.
        """
        ended = [curve for curve in self._curves(but=None) if curve.has_ended]
        return self._search.chance_of_gain(ended, gain)

    def _curves(self, but: int | None) -> list[Curve]:
        """Return the curves of all trials that have their values, except for one."""
        curves = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state != TrialState.WAITING and trial.number != but:
                curve = self._curve(trial)
                if curve is not None:
                    curves.append(curve)
        return curves

    def _curve(self, trial: FrozenTrial) -> Curve | None:
        drawn = decode(self._space, trial.params)
        for path, distribution in self._space.items():
            if path not in drawn and distribution.is_drawn(drawn):
                return None
        values = {}
        for epoch, value in trial.intermediate_values.items():
            if math.isfinite(value):
                values[epoch] = value
        return Curve(
            trial.number,
            self._unit_space.positions(drawn),
            values,
            has_ended=trial.state.is_finished(),
            has_failed=trial.state == TrialState.FAIL,
        )


class CurveSampler(BaseSampler):
    """Proposes what `StudyCurves` does, and what another sampler does before that.

    Args:
        curves: curves of the study.
        distributions: Optuna's distributions of the searched values.
        otherwise: the other sampler.
        seed: seed of the proposal.
    """

    def __init__(
        self,
        curves: StudyCurves,
        distributions: Mapping[str, BaseDistribution],
        otherwise: BaseSampler,
        seed: int,
    ) -> None:
        self._curves = curves
        self._distributions = distributions
        self._otherwise = otherwise
        self._seed = seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the distributions of all values that are proposed together."""
        if self._curves.is_ready():
            return dict(self._distributions)
        return self._otherwise.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, object]:
        """Return values for a trial, those of unmet conditions included."""
        proposal = self._curves.propose(trial, self._seed)
        if proposal is None:
            return self._otherwise.sample_relative(study, trial, search_space)
        return {path: value for path, value in proposal.items() if path in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> object:
        """Return a value that was not proposed with others."""
        return self._otherwise.sample_independent(study, trial, param_name, param_distribution)


def _is_due(epoch: int) -> bool:
    """Return whether trials are judged after an epoch: 1, 2, 3, 4, 6, 8, 11, …."""
    if epoch == 1:
        return True
    return math.floor(math.log(epoch, _GROWTH)) > math.floor(math.log(epoch - 1, _GROWTH))
