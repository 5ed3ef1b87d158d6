"""Trials in training that share a GAN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint, Snapshot
from adaptune.training.distributed import rank
from adaptune.training.gradient_norms import GradientNorms
from adaptune.training.health import HealthMonitor
from adaptune.training.loss_meter import LossMeter
from adaptune.training.record import EpochRecord
from adaptune.training.restore import RestoredGroup, Unrestored
from adaptune.training.sample_grid import sample_grid
from adaptune.training.state import StateDict, TrainingState, build_group
from adaptune.training.steps.batch import TrainingImages


@dataclass(frozen=True)
class GroupTrial:
    """A trial of a group, before its training.

    Attributes:
        spec: its spec. The specs of a group differ in settings of the classifier side only.
        checkpoints: the folder of the group's checkpoints, with the identity of this trial; None
            without any.
    """

    spec: TrialSpec
    checkpoints: CheckpointFolder | None = None

    @property
    def identity(self) -> str:
        """Identity of the trial; empty without checkpoints."""
        return "" if self.checkpoints is None else self.checkpoints.identity


class Member:
    """A trial of a group, in training.

    Args:
        state: its state.
        identity: identity of the trial.
        resume_point: the point at which it resumes.

    Attributes:
        state: its state.
        meter: its loss terms since the last epoch.
        gradient_norms: those of the last update of the last epoch.
        last: record of its last epoch; None before the first one.
    """

    def __init__(
        self,
        state: TrainingState,
        identity: str = "",
        resume_point: ResumePoint = ResumePoint(),  # noqa: B008  (immutable)
    ) -> None:
        self.state = state
        self.last = resume_point.record
        self.meter = LossMeter(state.spec.loss_weights, state.device)
        self.meter.resume(resume_point.means, resume_point.updates)
        self.gradient_norms = GradientNorms(state)
        self._identity = identity
        gan_loss = state.spec.training.gan_loss
        self._monitor = HealthMonitor(gan_loss, state.lowest_losses, resume_point.record)

    def end_epoch(self, record: EpochRecord, metric: str) -> EpochRecord:
        """Note an epoch, and return its record with the diagnosis of the generators.

        Args:
            metric: metric by which the best epoch is chosen.
        """
        if record.health is not None:
            health = self._monitor.update(record.health, record.losses)
            record = replace(record, health=health)
        self.state.update_best(record.epoch, record.score(metric))
        self.meter = LossMeter(self.state.spec.loss_weights, self.state.device)
        self.last = record
        return record

    def snapshot(self) -> Snapshot:
        """Return what a checkpoint of this moment holds."""
        means, updates = self.meter.running_means()
        return Snapshot(self._identity, self.state, ResumePoint(self.last, means, updates))


class TrialGroup:
    """The trials of a group that have not ended.

    Args:
        trials: the trials, by their numbers.
        classes: number of classes, K.
        source_weights: weights of f_S.

    Attributes:
        members: the trials that train, by their numbers.

    Raises:
        CheckpointError, WorkersLostError: see `CheckpointFolder.restore`.
    """

    def __init__(
        self,
        trials: Mapping[int, GroupTrial],
        classes: int,
        source_weights: StateDict,
        device: torch.device,
    ) -> None:
        specs = [trial.spec for trial in trials.values()]
        identities = [trial.identity for trial in trials.values()]
        states = build_group(specs, classes, source_weights, device)
        self._checkpoints = next(iter(trials.values())).checkpoints
        restored = RestoredGroup([ResumePoint() for _ in trials])
        if self._checkpoints is not None:
            pairs = zip(identities, states, strict=True)
            restored = self._checkpoints.restore([Unrestored(*pair) for pair in pairs])
        self._kept_epochs = set(restored.kept_epochs)  # of trials that have ended
        self.members: dict[int, Member] = {}
        parts = zip(trials, identities, states, restored.resume_points, strict=True)
        for number, identity, state, resume_point in parts:
            self.members[number] = Member(state, identity, resume_point)

    @property
    def first(self) -> TrainingState:
        """State of the first trial, which stands for what all share."""
        return next(iter(self.members.values())).state

    def last_records(self) -> dict[int, EpochRecord]:
        """Return the record of each trial's last epoch, if it has one."""
        records = {number: member.last for number, member in self.members.items()}
        return {number: record for number, record in records.items() if record is not None}

    def end(self, numbers: Iterable[int]) -> None:
        """Train these trials no more; the checkpoints of their best epochs stay."""
        for number in numbers:
            member = self.members.pop(number, None)
            if member is not None and member.state.best_epoch:
                self._kept_epochs.add(member.state.best_epoch)

    def save(self) -> None:
        """Write the checkpoint of an epoch."""
        if self._checkpoints is not None:
            self._checkpoints.save(self._snapshots(), self._kept_epochs)

    def save_mid_epoch(self) -> None:
        """Write a checkpoint within an epoch."""
        if self._checkpoints is not None:
            self._checkpoints.save_mid_epoch(self._snapshots(), self._kept_epochs)

    def save_sample_grid(self, epoch: int, images: TrainingImages) -> None:
        """Write the sample grid of an epoch; one worker does."""
        if self._checkpoints is not None and rank() == 0:
            self._checkpoints.save_sample_grid(epoch, sample_grid(self.first, images))

    def _snapshots(self) -> list[Snapshot]:
        return [member.snapshot() for member in self.members.values()]
