"""A stand-in for training, whose weights tell their trial and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from adaptune.execution.runtime import TrialJob
from adaptune.spec.schema import TrialSpec
from adaptune.training.networks import TRAINED
from adaptune.training.optimizers import build_optimizers
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState, build_state
from support.fake_run import constant_classifier, make_tiny_search
from support.fake_search import make_record, smooth
from support.tiny_trial import CLASSES, CPU


@cache
def _tiny_state() -> TrainingState:
    """Return a real state whose networks have very few weights."""
    spec = make_tiny_search().trial({})
    state = build_state(spec, CLASSES, constant_classifier(spec, 1), CPU)
    tiny = {name: nn.Linear(1, 1) for name in TRAINED} | {"f_t": nn.Linear(1, CLASSES)}
    networks = replace(state.networks, **tiny)
    return replace(state, networks=networks, optimizers=build_optimizers(networks, spec))


def signature(values: Mapping[str, Any], epoch: int) -> Tensor:
    """Return the bias of f_T after an epoch of the trial with these values."""
    cycle = values["loss_weights.cycle"]
    identity = values["loss_weights.identity"]
    return torch.tensor([cycle, identity, float(epoch)], dtype=torch.float32)


def _values(spec: TrialSpec) -> dict[str, float]:
    weights = spec.loss_weights
    return {"loss_weights.cycle": weights.cycle, "loss_weights.identity": weights.identity}


@dataclass
class SignedTraining:
    """A trial runner whose weights are a signature of the trial and the epoch.

    Attributes:
        foreign: receives checkpoints that a trial started from though they are not its own.
    """

    foreign: list[str]
    records: Iterator[EpochRecord] = field(default_factory=lambda: iter(()))

    def begin(self, job: TrialJob) -> None:
        self.records = self._train(job)

    def next_record(self) -> EpochRecord | None:
        return next(self.records, None)

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def _train(self, job: TrialJob) -> Iterator[EpochRecord]:
        values = _values(job.spec)
        state = replace(_tiny_state(), spec=job.spec)
        bias = state.networks.f_t.get_parameter("bias")
        last = job.checkpoints.restore(state).record
        if last is not None:
            if not torch.equal(bias, signature(values, last.epoch)):
                self.foreign.append(f"trial {job.number} started from {bias.tolist()}")
            yield last
        start = 1 if last is None else last.epoch + 1
        for epoch in range(start, job.spec.training.epochs + 1):
            record = make_record(epoch, smooth(values, epoch))
            with torch.no_grad():
                bias.copy_(signature(values, epoch))
            state.step = epoch * job.spec.training.steps_per_epoch
            state.update_best(epoch, record.score(job.metric))
            job.checkpoints.save(state, record)
            job.checkpoints.save_sample_grid(epoch, b"a picture")
            yield record
