"""One trial of a study, with its epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import cast

from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.errors import ResultsError
from adaptune.spec.distributions import Distribution, Value
from adaptune.spec.resources import Execution
from adaptune.study.parameters import decode
from adaptune.training.record import EpochRecord

GROUP = "group"
FIXED = "fixed_params"  # Optuna's system attribute
_EPOCH_KEY = "epoch:"
_PLACEMENT = "placement"


@dataclass(frozen=True)
class StudyEpoch:
    """An epoch as the study stores it.

    Attributes:
        record: record of the epoch.
        objective: value that sampler and scheduler compared when the epoch was reported.
        is_last: whether the trial was stopped after it. A kill may come before the trial's end is
            stored; a resume then stops the trial without another comparison.
    """

    record: EpochRecord
    objective: float
    is_last: bool = False

    @property
    def number(self) -> int:
        """Number of the epoch, from 1."""
        return self.record.epoch


@dataclass(frozen=True)
class TrialPlacement:
    """Runner and workers of a trial.

    Attributes:
        execution: kind of trial runner.
        workers: number of workers.
    """

    execution: Execution
    workers: int


@dataclass(frozen=True)
class GroupPlace:
    """The group of trials that share a GAN with a trial.

    Attributes:
        leader: number of the first trial of the group, which names its seed and its folder.
        size: number of trials that the group started with.
    """

    leader: int
    size: int


class StudyTrial:
    """A read-only view of an Optuna trial.

    Args:
        trial: the Optuna trial.
        metric: the metric that the search maximises.
        space: the searched values, by dotted path.
        is_start_point: whether `search.start_points` named the trial.
    """

    def __init__(
        self,
        trial: FrozenTrial,
        metric: str,
        space: Mapping[str, Distribution],
        *,
        is_start_point: bool = False,
    ) -> None:
        self.optuna_trial = trial
        self._space = space
        self.is_start_point = is_start_point
        self._metric = metric

    @property
    def number(self) -> int:
        """Number of the trial in the study."""
        return int(self.optuna_trial.number)

    @property
    def state(self) -> TrialState:
        """Optuna's state."""
        return self.optuna_trial.state

    @property
    def values(self) -> dict[str, Value]:
        """Sampled values by dotted path."""
        return decode(self._space, self.optuna_trial.params)

    @property
    def leader(self) -> int:
        """Number of the first trial of the group; its own number if it shares its GAN with none."""
        return place_in_group(self.optuna_trial).leader

    @property
    def group_size(self) -> int:
        """Number of trials that the group started with; 1 if the trial shares its GAN with none."""
        return place_in_group(self.optuna_trial).size

    @cached_property
    def epochs(self) -> list[StudyEpoch]:
        """Reported epochs, in order."""
        return epochs_of(self.optuna_trial)

    @property
    def curve(self) -> dict[int, float]:
        """Objective by number of the epoch."""
        return {epoch.number: epoch.objective for epoch in self.epochs}

    @property
    def last_epoch(self) -> int:
        """Number of the last reported epoch; 0 without any."""
        return max(self.curve, default=0)

    @cached_property
    def best_epoch(self) -> StudyEpoch | None:
        """Epoch with the highest score; None without any."""
        return self.best_of(self.epochs)

    def best_of(self, epochs: Sequence[StudyEpoch]) -> StudyEpoch | None:
        """Return the epoch with the highest score among these epochs; None without any."""
        return max(epochs, key=lambda epoch: epoch.record.rank_key(self._metric), default=None)

    @property
    def best_value(self) -> float | None:
        """Objective of the best epoch; None without any."""
        return None if self.best_epoch is None else self.best_epoch.objective

    @property
    def active_s(self) -> float:
        """Seconds of training and evaluation in the reported epochs."""
        return float(sum(epoch.record.active_s for epoch in self.epochs))

    @property
    def wall_s(self) -> float | None:
        """Seconds from the start to the end; None if the trial was resumed or has not ended."""
        return cast("float | None", self.optuna_trial.user_attrs.get("wall_s"))

    @property
    def placement(self) -> TrialPlacement | None:
        """Runner and workers that the trial ended with; None if it has not ended."""
        stored = self.optuna_trial.user_attrs.get(_PLACEMENT)
        return None if stored is None else TrialPlacement(**stored)

    @property
    def error(self) -> str | None:
        """Error that ended the trial, if any."""
        if self.state != TrialState.FAIL:  # a kill may have come before the end was stored
            return None
        return cast("str | None", self.optuna_trial.user_attrs.get("error"))

    @property
    def last_symptom(self) -> str | None:
        """Last symptom of an unhealthy GAN in the epochs so far, `kind: figures`, if any."""
        symptoms = [epoch.record.unhealthy for epoch in self.epochs if epoch.record.unhealthy]
        return symptoms[-1] if symptoms else None

    @property
    def unhealthy(self) -> str | None:
        """Last symptom of an unhealthy GAN, `kind: figures`; None if it was healthy."""
        return cast("str | None", self.optuna_trial.user_attrs.get("unhealthy"))


def find_trial(trials: Sequence[StudyTrial], number: int) -> StudyTrial:
    """Return the trial with a number that the user named.

    Raises:
        ResultsError: there is none.
    """
    for trial in trials:
        if trial.number == number:
            return trial
    numbers = ", ".join(str(trial.number) for trial in trials) or "none"
    raise ResultsError(f"there is no trial {number}; there are {numbers}")


def place_in_group(trial: FrozenTrial | Trial) -> GroupPlace:
    """Return the group of an Optuna trial; without any, the trial is a group of its own."""
    stored: Mapping[str, int] | None = trial.user_attrs.get(GROUP)
    return GroupPlace(trial.number, 1) if stored is None else GroupPlace(**stored)


def store_placement(trial: Trial, placement: TrialPlacement) -> None:
    """Store the runner and the workers of a trial in the study."""
    trial.set_user_attr(_PLACEMENT, asdict(placement))


def store_epoch(trial: Trial, epoch: StudyEpoch) -> bool:
    """Store an epoch in the study; return False if it is stored already."""
    key = f"{_EPOCH_KEY}{epoch.number}"
    stored = trial.storage.get_trial(trial._trial_id).user_attrs
    if key in stored:  # `trial.user_attrs` would copy all epochs
        return False
    values: dict[str, object] = {"record": epoch.record.to_dict(), "objective": epoch.objective}
    if epoch.is_last:
        values["is_last"] = True
    trial.set_user_attr(key, values)
    return True


def epochs_of(trial: FrozenTrial | Trial) -> list[StudyEpoch]:
    """Return the stored epochs of an Optuna trial, in order."""
    attributes: Mapping[str, object] = trial.user_attrs
    epochs = []
    for key, stored in attributes.items():
        if key.startswith(_EPOCH_KEY):
            values = cast("dict[str, dict[str, object]]", stored)
            record = EpochRecord.from_dict(values["record"])
            objective = cast(float, values["objective"])
            epochs.append(StudyEpoch(record, objective, is_last="is_last" in values))
    return sorted(epochs, key=lambda epoch: epoch.number)
