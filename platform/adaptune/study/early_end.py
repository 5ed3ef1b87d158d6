"""The end of a search before all of its trials have started, by `search.stop_when`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass

import optuna
from optuna.trial import TrialState

from adaptune.spec.stop_when import StopWhen
from adaptune.study.curves import StudyCurves
from adaptune.study.requests import Request
from adaptune.study.steering import Steering

_RECORD = "early_end"  # user attribute of the study
# A model of fewer trials may be sure and wrong: ten per dimension (Loeppky et al. 2009).
_ENDED_PER_VALUE = 10


@dataclass(frozen=True)
class EarlyEndRecord:
    """An early end, as the study stores it.

    Attributes:
        request: name under which the end is recorded among the requests.
        started: number of trials that had started.
        trials: number of trials that the search would have had.
        planned: number of trials by the spec.
        gain: in points; no setting was expected to gain more.
        chance: probability that a setting gains more.
    """

    request: str
    started: int
    trials: int
    planned: int
    gain: float
    chance: float


class EarlyEnd:
    """Ends a search when no further setting is expected to gain more.

    The end has the effect of a request to finish: running trials train on. It comes once. Trials
    that are added afterwards are trained.

    Args:
        study: the Optuna study.
        rule: when the search ends; None never ends it.
        curves: model of the learning curves.
        steering: requests of the search.
        planned: number of trials by the spec.
    """

    def __init__(
        self,
        study: optuna.Study,
        rule: StopWhen | None,
        curves: StudyCurves,
        steering: Steering,
        planned: int,
    ) -> None:
        self._study = study
        self._rule = rule
        self._planned = planned
        self._curves = curves
        self._steering = steering
        stored = study.user_attrs.get(_RECORD)
        self._record = None if stored is None else EarlyEndRecord(**stored)

    @property
    def has_come(self) -> bool:
        """True if the search was ended early."""
        return self._record is not None

    def check(self) -> None:
        """End the search if it is time to; to be called by the driver when a trial has ended.

        What is stored before a kill tells the next session to do the rest.
        """
        if self._record is None:
            self._record = self._due_end()
            if self._record is None:
                return
            self._study.set_user_attr(_RECORD, asdict(self._record))
        request = Request(action="finish")
        self._steering.carry_out(self._record.request, request, planned=self._record.planned)

    def describe(self) -> str | None:
        """Return how the search ended early, in one sentence; None if it did not."""
        record = self._record
        if record is None:
            return None
        sentence = (
            f"search.stop_when ended the search early, after {record.started} of"
            f" {record.trials} trials: the chance that another setting gains more than"
            f" {record.gain:g} points was {record.chance:.1%}."
        )
        if self._steering.started() > record.started:
            return f"{sentence} It was continued afterwards."
        return f"{sentence} {record.trials - record.started} trial(s) were not needed."

    def _due_end(self) -> EarlyEndRecord | None:
        """Return the end for which it is time, if any."""
        rule = self._rule
        if rule is None or not self._curves.dimensions:  # nothing is searched
            return None
        states = Counter(trial.state for trial in self._study.get_trials(deepcopy=False))
        started = states.total() - states[TrialState.WAITING]
        trials = self._steering.trials(self._planned)
        # Start points, and settings that a person wants to try, are tried in any case.
        if started >= trials or states[TrialState.WAITING]:
            return None
        ended = sum(count for state, count in states.items() if state.is_finished())
        fewest = _ENDED_PER_VALUE * self._curves.dimensions
        if ended < fewest or states[TrialState.COMPLETE] < rule.complete_trials:
            return None
        chance = self._curves.chance_of_gain(rule.gain_below / 100)
        if chance is None or chance > 1 - rule.confidence:
            return None
        name = f"{time.time_ns():020d}-stop-when"  # sorted by time among other requests
        return EarlyEndRecord(name, started, trials, self._planned, rule.gain_below, chance)
