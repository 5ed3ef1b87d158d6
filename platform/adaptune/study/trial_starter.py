"""Start of the trials of a study, one by one or in groups that share a GAN.

A kill may come after each write to the storage. What is stored then tells the next session how to
continue, and it stores what the killed session would have stored:

1. The first trial of a group waits until it has its `GroupPlace`, and then runs.
2. It gets its values one by one; the sampler repeats those that are stored.
3. Start points that share its GAN follow in the same way.
4. The other trials are created one after another, each in a single write with its `GroupPlace` and
   with the values that the group shares, and get their own values like the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.spec.distributions import Distribution, Value
from adaptune.spec.sharing import shared_paths
from adaptune.study.parameters import distributions
from adaptune.study.rank_scale import merge
from adaptune.study.samplers import fix_parameters
from adaptune.study.trial import FIXED, GROUP, GroupPlace, place_in_group


class TrialStarter:
    """Starts trials with the values that the sampler proposes.

    Args:
        study: the Optuna study; only this object starts trials of it.
        space: the searched values, by dotted path.
        make_sampler: function from the number of a trial to the sampler that proposes its values.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Mapping[str, Distribution],
        make_sampler: Callable[[int], BaseSampler],
    ) -> None:
        self._study = study
        self._space = space
        self._make_sampler = make_sampler
        self._distributions = distributions(space)
        self._shared = shared_paths(space)  # their values are equal in all trials of a group
        # The numbers of each started trial's group: all of its trials have the same list.
        self._groups: dict[int, list[int]] = {}
        for trial in self._started_trials():
            self._note_start(trial)

    @property
    def started(self) -> int:
        """Number of trials except for the start points that still wait."""
        return len(self._groups)

    def group(self, number: int) -> Sequence[int]:
        """Return the numbers of the trials in the group of a started trial, the leader's first."""
        return tuple(self._groups[number])

    def start(
        self,
        size: int,
        prior_trials: Sequence[FrozenTrial] = (),
        *,
        limit: int | None = None,
    ) -> Trial:
        """Start the next start point, or a new trial, as the first one of a group.

        Args:
            size: largest number of trials that the group will have.
            prior_trials: trials of other studies that the sampler learns from.
            limit: number of trials that may still start, this one included. The group leaves room
                for the start points that do not share its GAN.
        """
        study = self._study
        trials = study.get_trials(deepcopy=False)
        points = [trial for trial in trials if trial.state == TrialState.WAITING]
        waiting = next(iter(points), None)
        number = len(trials) if waiting is None else waiting.number
        if size > 1 and waiting is not None and limit is not None:
            members = 1 + len(self._matching_points(waiting))
            size = min(size, max(members, limit - (len(points) - members)))
        study.sampler = self._make_sampler(number)
        if waiting is None and prior_trials:
            study.enqueue_trial(self._propose_with_priors(prior_trials, {}))
        elif waiting is None and size > 1:
            study.enqueue_trial({})
        # An earlier session may have placed it in a group of another size.
        is_placed = waiting is not None and GROUP in waiting.user_attrs
        if size > 1 or is_placed:
            trial_id = self._frozen(number)._trial_id
            place = GroupPlace(leader=number, size=size)
            study._storage.set_trial_user_attr(trial_id, GROUP, asdict(place))
        trial = study.ask()
        self._note_start(trial)
        return self._draw(trial)

    def complete(self, leader: int, prior_trials: Sequence[FrozenTrial] = ()) -> list[Trial]:
        """Start the trials that a group lacks, and return them.

        Args:
            leader: number of the first trial of the group; it has its values.
            prior_trials: trials of other studies that the sampler learns from.
        """
        first = self._frozen(leader)
        place = place_in_group(first)
        missing = place.size - len(self._groups[leader])
        if not missing:  # a trial alone, as most are: the waiting ones need not be listed
            return []
        values = {path: value for path, value in first.params.items() if path in self._shared}
        points = self._matching_points(first)[:missing]
        started = [self._start_point(place, point) for point in points]
        for _ in range(missing - len(points)):
            started.append(self._start_member(place, values, prior_trials))
        return started

    def resume(self, trial: Trial) -> Trial:
        """Draw the values that an interrupted trial lacks, see `SearchStudy.resume_trial`."""
        self._study.sampler = self._sampler_of(self._frozen(trial.number))
        space = self._space
        if all(path in trial.params for path in space if space[path].is_drawn(trial.params)):
            return trial
        # The sampler prepares a trial when the object is made.
        return self._draw(Trial(self._study, trial._trial_id))

    def _matching_points(self, first: FrozenTrial) -> list[FrozenTrial]:
        """Return the waiting start points that fix the same shared values as a start point."""
        fixed: Mapping[str, Value] = first.system_attrs.get(FIXED, {})
        shared = self._shared
        if not all(path in fixed for path in shared if not self._space[path].when):
            return []
        points = []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            other = trial.system_attrs.get(FIXED, {})
            is_equal = all(other.get(path) == fixed.get(path) for path in shared)
            if is_equal and trial.number != first.number:
                points.append(trial)
        return points

    def _start_point(self, place: GroupPlace, point: FrozenTrial) -> Trial:
        """Start a waiting start point as a trial of a group."""
        study = self._study
        study._storage.set_trial_user_attr(point._trial_id, GROUP, asdict(place))
        study._storage.set_trial_state_values(point._trial_id, TrialState.RUNNING)
        started = self._frozen(point.number)
        self._note_start(started)
        study.sampler = self._sampler_of(started)
        return self._draw(Trial(study, started._trial_id))

    def _start_member(
        self, place: GroupPlace, values: Mapping[str, Value], prior_trials: Sequence[FrozenTrial]
    ) -> Trial:
        """Start a trial of a group with the values that the group shares."""
        study = self._study
        fixed = dict(values)
        if prior_trials:
            number = len(study.get_trials(deepcopy=False))
            study.sampler = fix_parameters(self._make_sampler(number), fixed)
            fixed = self._propose_with_priors(prior_trials, fixed)
        # Not as a waiting trial: start points that wait would be started before.
        member = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            user_attrs={GROUP: asdict(place)},
            system_attrs={FIXED: fixed},
        )
        study.add_trial(member)
        created = study.get_trials(deepcopy=False)[-1]
        self._note_start(created)
        study.sampler = self._sampler_of(created)
        return self._draw(Trial(study, created._trial_id))

    def _sampler_of(self, trial: FrozenTrial) -> BaseSampler:
        """Return the sampler that proposes the values of a trial."""
        sampler = self._make_sampler(trial.number)
        if place_in_group(trial).leader == trial.number:
            return sampler
        return fix_parameters(sampler, trial.system_attrs[FIXED])

    def _note_start(self, trial: FrozenTrial | Trial) -> None:
        group = self._groups.setdefault(place_in_group(trial).leader, [])
        group.append(trial.number)
        self._groups[trial.number] = group

    def _started_trials(self) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != TrialState.WAITING]

    def _frozen(self, number: int) -> FrozenTrial:
        return stored_trial(self._study, number)

    def _propose_with_priors(
        self, prior_trials: Sequence[FrozenTrial], fixed: Mapping[str, Value]
    ) -> dict[str, Value]:
        """Return values proposed from the trials of this study and of others.

        Trials of other studies stay out of this one: its numbers and counts are its own.

        Args:
            fixed: values that are not to be proposed.
        """
        merged = optuna.create_study(directions=self._study.directions, sampler=self._study.sampler)
        merged.add_trials(merge(prior_trials, self._started_trials()))
        if fixed:
            merged.enqueue_trial(dict(fixed))
        return dict(self._draw(merged.ask()).params)

    def _draw(self, trial: Trial) -> Trial:
        """Draw the values that the trial lacks, those that others depend on first."""
        space = self._space
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
        study, distribution = self._study, self._distributions[path]
        frozen = self._frozen(trial.number)
        is_fixed = path in frozen.system_attrs.get(FIXED, {}) or distribution.single()
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


def stored_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """Return a trial of a study as it is stored; `Study.get_trials` would list all of them."""
    storage = study._storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return storage.get_trial(trial_id)
