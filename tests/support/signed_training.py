"""A stand-in for training, whose weights tell their trial and epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adaptune.execution.runtime import GroupJob
from adaptune.spec.schema import TrialSpec
from adaptune.training import group
from adaptune.training.group import GroupTrial, Member, TrialGroup
from adaptune.training.loop import Outcome
from adaptune.training.networks import TRAINED
from adaptune.training.optimizers import build_optimizers
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState, build_state
from support.fake_run import constant_classifier, make_tiny_search
from support.fake_search import make_record, smooth
from support.tiny_trial import CLASSES, CPU

# The first two are of the generator side, the last one is of the classifier side.
_SIGNED = ("cycle", "identity", "feature")
_FEATURE_PART = 0.01  # of the number that signs the epoch


@cache
def _tiny_state(position: int) -> TrainingState:
    """Return a real state with very few weights, for the trial at a position of its group."""
    tiny: dict[str, nn.Module] = {name: nn.Linear(1, 1) for name in TRAINED}
    tiny["f_t"] = nn.Linear(1, CLASSES)
    if position == 0:
        spec = make_tiny_search().trial({})
        first = build_state(spec, CLASSES, constant_classifier(spec, 1), CPU)
    else:
        first = _tiny_state(0)
        tiny |= first.networks.generator_side()
    networks = replace(first.networks, **tiny)
    return replace(first, networks=networks, optimizers=build_optimizers(networks, first.spec))


def _tiny_group(specs: Sequence[TrialSpec], *_: object) -> list[TrainingState]:
    states = []
    for position, spec in enumerate(specs):
        state = replace(_tiny_state(position), spec=spec, lowest_losses={}, eval_buffers={})
        states.append(state)
    return states


def signature(values: Mapping[str, Any], epoch: int) -> Tensor:
    """Return the bias of f_T after an epoch of the trial with these values.

    λ of the feature term, which may differ within a group, counts where it is searched.
    """
    cycle = values["loss_weights.cycle"]
    identity = values["loss_weights.identity"]
    feature = values.get("loss_weights.feature", _default_feature())
    signed_epoch = epoch + _FEATURE_PART * feature
    return torch.tensor([cycle, identity, signed_epoch], dtype=torch.float32)


@cache
def _default_feature() -> float:
    return make_tiny_search().trial({}).loss_weights.feature


def _values(spec: TrialSpec) -> dict[str, float]:
    return {f"loss_weights.{name}": getattr(spec.loss_weights, name) for name in _SIGNED}


def _bias(member: Member) -> Tensor:
    return member.state.networks.f_t.get_parameter("bias")


@dataclass
class SignedTraining:
    """A trial runner whose weights are a signature of the trial and the epoch.

    Attributes:
        foreign: receives checkpoints that a trial started from though they are not its own.
    """

    foreign: list[str]
    epochs: Iterator[dict[int, Outcome]] = field(default_factory=lambda: iter(()))
    stopped: set[int] = field(default_factory=set)

    def begin(self, job: GroupJob) -> None:
        self.stopped = set()
        self.epochs = self._train(job, self.stopped)

    def next_outcomes(self, stopped: Collection[int]) -> dict[int, Outcome] | None:
        self.stopped.update(stopped)
        return next(self.epochs, None)

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def _train(self, job: GroupJob, stopped: Collection[int]) -> Iterator[dict[int, Outcome]]:
        trials = {trial.number: GroupTrial(trial.spec, trial.checkpoints) for trial in job.trials}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group, "build_group", _tiny_group)
            members = TrialGroup(trials, CLASSES, {}, CPU)
        last_records = members.last_records()
        self._check_weights(members, last_records)
        if last_records:
            yield {**last_records}
        first = job.trials[0]
        training = first.spec.training
        epoch = max((record.epoch for record in last_records.values()), default=0)
        while epoch < training.epochs:
            members.end(stopped)
            if not members.members:
                return
            epoch += 1
            outcomes: dict[int, Outcome] = {}
            for number, member in members.members.items():
                member.state.step = epoch * training.steps_per_epoch
                outcomes[number] = _sign(member, epoch, first.metric)
            members.save()
            first.checkpoints.save_sample_grid(epoch, b"a picture")
            yield outcomes

    def _check_weights(self, members: TrialGroup, records: Mapping[int, EpochRecord]) -> None:
        for number, record in records.items():
            member = members.members[number]
            bias = _bias(member)
            if not torch.equal(bias, signature(_values(member.state.spec), record.epoch)):
                self.foreign.append(f"trial {number} started from {bias.tolist()}")


def _sign(member: Member, epoch: int, metric: str) -> EpochRecord:
    """Train an epoch: make the weights of a trial its signature."""
    values = _values(member.state.spec)
    with torch.no_grad():
        _bias(member).copy_(signature(values, epoch))
    accuracy = smooth(values, epoch) * (1 - values["loss_weights.feature"] / 4)
    return member.end_epoch(make_record(epoch, accuracy), metric)
