"""The Optuna study of a search: its only state. Everything else can be derived from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.study.ranking import Ranking
from adaptune.study.samplers import distributions, make_sampler
from adaptune.study.trial import (
    StudyEpoch,
    StudyTrial,
    TrialPlacement,
    store_epoch,
    store_placement,
)
from adaptune.text import escape_control
from adaptune.training.record import EpochRecord

METRIC = "metric"
_WARM_START = "warm_start"
_DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)


class SearchStudy:
    """The study of a search.

    Args:
        study: the Optuna study.
        spec: the spec of the search.
    """

    def __init__(self, study: optuna.Study, spec: SearchSpec) -> None:
        self.optuna_study = study
        self._spec = spec
        self._distributions = distributions(spec.space)
        # Read once: each access reads the storage.
        self._metric = str(study.user_attrs[METRIC])
        self._ranking = Ranking(self._metric)
        self._started = len(self.started_trials())  # counted on: only this object starts trials

    @property
    def metric(self) -> str:
        """The metric that the search maximises."""
        return self._metric

    @property
    def started(self) -> int:
        """Number of trials except for the start points that still wait."""
        return self._started

    # Trials to run

    def ask(self, prior_trials: Sequence[FrozenTrial] = ()) -> Trial:
        """Return the next start point, or a new trial.

        Args:
            prior_trials: trials of other studies that the sampler learns from.
        """
        study = self.optuna_study
        study.sampler = make_sampler(self._spec, self._started)
        if prior_trials and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(self._propose_with_priors(prior_trials))
        trial = study.ask()
        self._started += 1
        return self._draw(trial)

    def resume_trial(self, trial: Trial) -> Trial:
        """Draw the values that an interrupted trial lacks.

        The interruption may have come between two values. The trial gets those that it would have
        got without the interruption.
        """
        self.optuna_study.sampler = make_sampler(self._spec, trial.number)
        space = self._spec.space
        if all(path in trial.params for path in space if space[path].is_drawn(trial.params)):
            return trial
        # The sampler prepares a trial when the object is made.
        return self._draw(Trial(self.optuna_study, trial._trial_id))

    def interrupted_trials(self) -> list[Trial]:
        """Return the trials that were running when the search ended; they keep their numbers."""
        running = self.optuna_study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [Trial(self.optuna_study, trial._trial_id) for trial in running]

    # Results

    def add_epoch(self, trial: Trial, record: EpochRecord, objective: float) -> bool:
        """Store an epoch of a running trial.

        Returns:
            False if it is stored already: a resumed trial reports its last epoch a second time.
        """
        is_new = store_epoch(trial, StudyEpoch(record, objective))
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
        symptoms = [epoch.record.unhealthy for epoch in result.epochs if epoch.record.unhealthy]
        if symptoms:
            trial.set_user_attr("unhealthy", symptoms[-1])
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
            slowest_s = max(slowest_s, *(epoch.record.active_s for epoch in trial.epochs), 0.0)
        return slowest_s

    # Warm start

    def record_warm_start(self, counts: Mapping[str, int]) -> None:
        """Store how many trials of each earlier search the sampler learns from."""
        if counts:
            self.optuna_study.set_user_attr(_WARM_START, dict(counts))

    def describe_warm_start(self) -> str | None:
        """Return which trials of earlier searches the sampler learned from, in one line."""
        counts: Mapping[str, int] = self.optuna_study.user_attrs.get(_WARM_START, {})
        if not counts:
            return None
        sources = ", ".join(f"{count} trial(s) of {folder}" for folder, count in counts.items())
        return f"warm start: the sampler also learned from {sources}"

    def _view(self, trial: FrozenTrial) -> StudyTrial:
        return StudyTrial(trial, self.metric)

    def _frozen(self, number: int) -> FrozenTrial:
        study_id = self.optuna_study._study_id
        storage = self.optuna_study._storage  # `Study.get_trials` would list all trials
        return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def _propose_with_priors(self, prior_trials: Sequence[FrozenTrial]) -> dict[str, Value]:
        """Return values proposed from the trials of this study and of others.

        Trials of other studies stay out of this one: its numbers and counts are its own.
        """
        merged = optuna.create_study(
            directions=self.optuna_study.directions, sampler=self.optuna_study.sampler
        )
        started = [trial.optuna_trial for trial in self.started_trials()]
        merged.add_trials([*prior_trials, *started])
        return dict(self._draw(merged.ask()).params)

    def _draw(self, trial: Trial) -> Trial:
        """Draw the values that the trial lacks, those that others depend on first."""
        space = self._spec.space
        for path in sorted(space, key=lambda path: len(space[path].when)):
            if not space[path].is_drawn(trial.params):
                continue
            if path in trial.params:
                self._draw_again(trial, path)
            else:
                self._suggest(trial, path)
        return trial

    def _draw_again(self, trial: Trial, path: str) -> None:
        """Draw a value that the trial has already, so that the next random numbers are the same."""
        study, distribution = self.optuna_study, self._distributions[path]
        frozen = self._frozen(trial.number)
        is_fixed = path in frozen.system_attrs.get("fixed_params", {}) or distribution.single()
        if not is_fixed and path not in trial.relative_params:
            study.sampler.sample_independent(study, frozen, path, distribution)

    def _suggest(self, trial: Trial, path: str) -> None:
        match self._distributions[path]:
            case FloatDistribution(low=low, high=high, log=log):
                trial.suggest_float(path, low, high, log=log)
            case IntDistribution(low=low, high=high, step=step):
                trial.suggest_int(path, low, high, step=step)
            case CategoricalDistribution(choices=choices):
                trial.suggest_categorical(path, choices)


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
        study.enqueue_trial(dict(point), skip_if_exists=True)
    return SearchStudy(study, spec)
