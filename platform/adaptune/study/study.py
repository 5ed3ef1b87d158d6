"""The Optuna study of a search: its only state. Everything else can be derived from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.spec.priors import beliefs
from adaptune.spec.schema import SearchSpec
from adaptune.study.curves import StudyCurves
from adaptune.study.early_end import EarlyEnd
from adaptune.study.parameters import encode
from adaptune.study.ranking import Ranking
from adaptune.study.samplers import make_sampler
from adaptune.study.steering import Steering
from adaptune.study.trial import (
    FIXED,
    StudyEpoch,
    StudyTrial,
    TrialPlacement,
    place_in_group,
    store_epoch,
    store_placement,
)
from adaptune.study.trial_starter import TrialStarter, stored_trial
from adaptune.text import escape_control
from adaptune.training.record import EpochRecord

METRIC = "metric"
WARM_START = "warm_start"
_DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)


class SearchStudy:
    """The study of a search.

    Args:
        study: the Optuna study.
        spec: the spec of the search.

    Attributes:
        steering: what a person has asked of the search while it ran.
        curves: model of the learning curves.
        early_end: end by `search.stop_when`.
    """

    def __init__(self, study: optuna.Study, spec: SearchSpec) -> None:
        self.optuna_study = study
        # Read once: each access reads the storage.
        self._metric = str(study.user_attrs[METRIC])
        self._ranking = Ranking(self._metric)
        self._space = spec.space
        self._start_points = [encode(self._space, point) for point in spec.search.start_points]
        self.steering = Steering(study, self._space)
        options, priors = spec.search, beliefs(self._space, spec.method)
        self.curves = StudyCurves(study, options, self._space, priors, spec.epochs)
        sampler = partial(make_sampler, spec, curves=self.curves)
        planned = spec.planned_trials
        self.early_end = EarlyEnd(study, options.stop_when, self.curves, self.steering, planned)
        self._starter = TrialStarter(study, self._space, sampler)

    @property
    def metric(self) -> str:
        """The metric that the search maximises."""
        return self._metric

    @property
    def started(self) -> int:
        """Number of trials except for the start points that still wait."""
        return self._starter.started

    # Trials to run

    def ask(self, prior_trials: Sequence[FrozenTrial] = ()) -> Trial:
        """Return the next start point, or a new trial, which shares its GAN with no other.

        Args:
            prior_trials: trials of other studies that the sampler learns from.
        """
        return self._starter.start(1, prior_trials)

    def ask_group(
        self,
        size: int,
        prior_trials: Sequence[FrozenTrial] = (),
        *,
        limit: int | None = None,
    ) -> list[Trial]:
        """Return new trials that share a GAN; the first one is what `ask` would return.

        Start points with the same shared values come next, and then trials with values that the
        sampler proposes, when it knows of the trials before.

        Args:
            size: largest number of trials, from 1.
            prior_trials: trials of other studies that the sampler learns from.
            limit: number of trials that may still start. The group leaves room for the other start
                points.
        """
        first = self._starter.start(size, prior_trials, limit=limit)
        return [first, *self._starter.complete(first.number, prior_trials)]

    def interrupted_groups(self, prior_trials: Sequence[FrozenTrial] = ()) -> list[list[Trial]]:
        """Return the trials that were running when the search ended, by group, in order.

        The search may have ended while it started a group: this starts the trials that the group
        lacks, with the values that they would have got. Groups that lack trials because some of
        them have ended stay as they are. To be called before other trials start or end.

        Args:
            prior_trials: see `ask_group`.
        """
        self.early_end.check()  # a kill may have come between the end of a trial and this
        groups: dict[int, list[Trial]] = {}
        for trial in self.interrupted_trials():
            leader = place_in_group(trial).leader
            groups.setdefault(leader, []).append(self.resume_trial(trial))
        for leader, running in groups.items():
            running.extend(self._starter.complete(leader, prior_trials))
        return [groups[leader] for leader in sorted(groups)]

    def resume_trial(self, trial: Trial) -> Trial:
        """Draw the values that an interrupted trial lacks.

        The interruption may have come between two values. The trial gets those that it would have
        got without the interruption.
        """
        return self._starter.resume(trial)

    def interrupted_trials(self) -> list[Trial]:
        """Return the trials that were running when the search ended; they keep their numbers."""
        running = self.optuna_study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [Trial(self.optuna_study, trial._trial_id) for trial in running]

    # Results

    def add_epoch(
        self, trial: Trial, record: EpochRecord, objective: float, *, is_last: bool = False
    ) -> bool:
        """Store an epoch of a running trial.

        Args:
            is_last: see `StudyEpoch`.

        Returns:
            False if it is stored already: a resumed trial reports its last epoch a second time.
        """
        is_new = store_epoch(trial, StudyEpoch(record, objective, is_last))
        if len(self.optuna_study.directions) > 1:  # Optuna has no curves of several objectives
            return is_new
        # An interruption may have come between the epoch and its point in the curve.
        if is_new or record.epoch not in self._frozen(trial.number).intermediate_values:
            trial.report(objective, record.epoch)
        return is_new

    def tell_result(
        self,
        trial: Trial,
        *,
        epochs: int,
        error: str | None,
        wall_s: float | None,
        placement: TrialPlacement | None = None,
    ) -> TrialState:
        """End a trial: FAIL with its error, COMPLETE after its last epoch, otherwise PRUNED.

        A pruned trial keeps its curve, and Optuna takes its last value. The value of a complete
        trial is that of its best epoch, which is the one that is exported.

        Args:
            epochs: number of epochs of a trial that is not stopped early.
            wall_s: seconds from start to end, if known.
            placement: runner and workers of the trial, if known.
        """
        if placement is not None:
            store_placement(trial, placement)
        trial.set_user_attr("wall_s", wall_s)
        result = self._view(self._frozen(trial.number))
        if result.last_symptom is not None:
            trial.set_user_attr("unhealthy", result.last_symptom)
        best_value = result.best_value
        if error is None and best_value is not None and math.isnan(best_value):
            error = f"search.metric {self.metric} cannot be computed: it needs more samples"
        values: list[float] | None = None
        if error is not None:
            trial.set_user_attr("error", escape_control(error, keep="\n"))
            state = TrialState.FAIL
        elif best_value is not None and result.last_epoch >= epochs:
            state = TrialState.COMPLETE
            values = [best_value, result.active_s][: len(self.optuna_study.directions)]
        else:
            state = TrialState.PRUNED
        self.optuna_study.tell(trial, values, state=state)
        self.early_end.check()
        return state

    # Trials so far

    def started_trials(self) -> list[StudyTrial]:
        """Return all trials except for the start points that still wait."""
        trials = []
        for trial in self.optuna_study.get_trials(deepcopy=False):
            if trial.state != TrialState.WAITING:
                trials.append(self._view(trial))
        return trials

    def trial(self, number: int) -> StudyTrial:
        """Return the trial with this number."""
        return self._view(self._frozen(number))

    def leader(self, number: int) -> int:
        """Return the number of the first trial in the group of a started trial.

        This object knows it without the storage.
        """
        return self._starter.group(number)[0]

    def group(self, number: int) -> list[StudyTrial]:
        """Return the trials in the group of a started trial in any state, the leader first."""
        return [self.trial(member) for member in self._starter.group(number)]

    def ranked_trials(self, *, include_running: bool = False) -> list[StudyTrial]:
        """Return the complete and pruned trials by their best epochs, best first."""
        return self._ranking.trials(self.started_trials(), include_running=include_running)

    def ranked_epochs(
        self, *, include_running: bool = False
    ) -> list[tuple[StudyTrial, StudyEpoch]]:
        """Return the epochs of the complete and pruned trials, with the trial, best first."""
        return self._ranking.epochs(self.started_trials(), include_running=include_running)

    def best_trial(self) -> StudyTrial | None:
        """Return the best complete or pruned trial, or None without any."""
        return next(iter(self.ranked_trials()), None)

    def pareto_front(self) -> list[StudyTrial]:
        """Return the trials that no other beats in both objectives.

        There is none in a search with a single objective.
        """
        if len(self.optuna_study.directions) == 1:
            return []
        return [self._view(trial) for trial in self.optuna_study.best_trials]

    def slowest_epoch_s(self) -> float:
        """Return the seconds of the slowest epoch; 0 without any."""
        slowest_s = 0.0
        for trial in self.started_trials():
            for epoch in trial.epochs:  # the trials of a group share the time of an epoch
                slowest_s = max(slowest_s, trial.group_size * epoch.record.active_s)
        return slowest_s

    # Warm start

    def record_warm_start(self, counts: Mapping[str, int]) -> None:
        """Store how many trials of each earlier search the sampler learns from."""
        if counts:
            self.optuna_study.set_user_attr(WARM_START, dict(counts))

    def _view(self, trial: FrozenTrial) -> StudyTrial:
        is_start_point = self._is_start_point(trial)
        return StudyTrial(trial, self.metric, self._space, is_start_point=is_start_point)

    def _is_start_point(self, trial: FrozenTrial) -> bool:
        """Return whether `search.start_points` named a trial.

        Start points are the first trials. Warm starts and groups fix values of later ones, too.
        """
        is_among_first = trial.number < len(self._start_points)
        return is_among_first and trial.system_attrs.get(FIXED) in self._start_points

    def _frozen(self, number: int) -> FrozenTrial:
        return stored_trial(self.optuna_study, number)


def create_study(
    spec: SearchSpec, storage: optuna.storages.BaseStorage | None = None
) -> SearchStudy:
    """Create the study of a search with its start points, or open it if it exists.

    Args:
        storage: where the study is kept; None keeps it in memory.
    """
    study = optuna.create_study(
        study_name=spec.name,
        storage=storage,
        directions=_DIRECTIONS[: spec.search.objectives],
        load_if_exists=True,
    )
    if METRIC not in study.user_attrs:
        study.set_user_attr(METRIC, spec.search.metric)
    for point in spec.search.start_points:
        study.enqueue_trial(encode(spec.space, point), skip_if_exists=True)
    return SearchStudy(study, spec)
