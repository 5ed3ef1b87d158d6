"""The updates of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from adaptune.data.sampling import UnpairedSampler
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import uses_bf16
from adaptune.training.class_balance import balanced_labels
from adaptune.training.loss_meter import LossMeter
from adaptune.training.networks import CLASSIFIER_SIDE, GENERATOR_SIDE
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import augmented_batch
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step

IsPreempted = Callable[[], bool]
PREEMPTION_CHECK_STEPS = 20  # the check makes all workers meet
STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}


class Trained(Protocol):
    """A trial in training: its state, and its loss terms since the last epoch."""

    state: TrainingState
    meter: LossMeter


class EpochTrainer:
    """Trains the networks of a trial, or of the trials of a group together.

    Args:
        spec: spec of any trial of the group; they have the same data, seed and method.
        is_preempted: see `fit_group`.
    """

    def __init__(
        self, spec: TrialSpec, images: TrainingImages, is_preempted: IsPreempted | None
    ) -> None:
        self._spec = spec
        self._images = images
        self._is_preempted = is_preempted
        self._step = STEPS[spec.method]
        self._sampler = UnpairedSampler(
            len(images.source),
            len(images.target),
            spec.training.batch_size,
            derive_seed(spec.seed, "order"),
            balanced_labels(spec, images.source),
            labelled_size=0 if images.labelled_target is None else len(images.labelled_target),
        )

    def train(self, epoch: int, trials: Sequence[Trained]) -> bool:
        """Train to the end of the epoch; return False if the trials were preempted before."""
        first = trials[0].state
        for trial in trials:
            trial.state.networks.f_t.train()
        while first.step < epoch * self._spec.training.steps_per_epoch:
            if self._preempted(first.step):
                return False
            self._update(trials)
        return True

    def _update(self, trials: Sequence[Trained]) -> None:
        training = self._spec.training
        group = [trial.state for trial in trials]
        first = group[0]
        for state in group:
            state.set_rates()
        true_semantic = training.semantic_labels == "true"
        indices = self._images.indices(self._sampler, first.step)
        places = first.prepare_draws(indices)
        batch = self._images.batch(indices, places, true_semantic=true_semantic)
        batch = augmented_batch(first, batch)
        bf16 = uses_bf16(training, first.device)
        with torch.autocast(first.device.type, torch.bfloat16, enabled=bf16):
            all_terms = self._step(group, batch)
        first.update_averages(GENERATOR_SIDE)
        for trial, terms in zip(trials, all_terms, strict=True):
            if trial.state.trains_classifier:
                trial.state.update_averages(CLASSIFIER_SIDE)
            trial.state.step += 1
            trial.meter.add(trial.state.step, terms)

    def _preempted(self, step: int) -> bool:
        if self._is_preempted is None or step % PREEMPTION_CHECK_STEPS:
            return False
        return self._is_preempted()
