"""The updates of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

import torch

from adaptune.data.sampling import UnpairedSampler
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import uses_bf16
from adaptune.training.class_balance import balanced_labels
from adaptune.training.cuda_graph import Recorder, recorder_of
from adaptune.training.gradient_norms import GradientNorms
from adaptune.training.loss_meter import LossMeter
from adaptune.training.networks import CLASSIFIER_SIDE, GENERATOR_SIDE
from adaptune.training.recorded_updates import RecordedUpdates, run_eagerly
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import augmented_batch
from adaptune.training.steps.batch import BatchIndices, TrainingImages
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step
from adaptune.training.steps.optimization import LossTerms

IsPreempted = Callable[[], bool]
PREEMPTION_CHECK_STEPS = 20  # the check makes all workers meet
STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}


class Trained(Protocol):
    """A trial in training.

    Attributes:
        state: its state.
        meter: its loss terms since the last epoch.
        gradient_norms: those of the last update of an epoch.
    """

    state: TrainingState
    meter: LossMeter
    gradient_norms: GradientNorms


class EpochTrainer:
    """Trains the networks of a trial, or of the trials of a group together.

    Args:
        spec: spec of any trial of the group; they have the same data, seed and method.
        is_preempted: see `fit_group`.
        recorder: records updates, so that they can be replayed; None is the one that the spec asks
            for, see `recorder_of`.
    """

    def __init__(
        self,
        spec: TrialSpec,
        images: TrainingImages,
        is_preempted: IsPreempted | None,
        recorder: Recorder | None = None,
    ) -> None:
        self._spec = spec
        self._images = images
        self._is_preempted = is_preempted
        self._step = STEPS[spec.method]
        recorder = recorder or recorder_of(spec, images)
        self._recorded = None if recorder is None else RecordedUpdates(recorder)
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
        if self._recorded is not None:
            self._recorded.begin_epoch([trial.state for trial in trials])
        end = epoch * self._spec.training.steps_per_epoch
        while first.step < end:
            if self._preempted(first.step):
                return False
            if first.step == end - 1:
                self._noted_update(trials)
            else:
                self._update(trials)
        return True

    def _noted_update(self, trials: Sequence[Trained]) -> None:
        """Make an update, and note the norms of its gradients, which a replay does not tell."""
        with ExitStack() as stack:
            for trial in trials:
                stack.enter_context(trial.gradient_norms.noted())
            self._update(trials, is_replayed=False)

    def _update(self, trials: Sequence[Trained], *, is_replayed: bool = True) -> None:
        group = [trial.state for trial in trials]
        for state in group:
            state.set_rates()
        indices = self._images.indices(self._sampler, group[0].step)
        run = self._recorded.run if self._recorded and is_replayed else run_eagerly
        all_terms = run(self._compute, group, indices)
        for trial, terms in zip(trials, all_terms, strict=True):
            trial.state.step += 1
            trial.meter.add(trial.state.step, terms)

    def _compute(
        self, group: Sequence[TrainingState], indices: BatchIndices, places: BatchIndices
    ) -> list[LossTerms]:
        """Compute an update, and return the terms of each trial.

        It changes its state in place, and all that it reads from the CPU are its arguments and what
        is prepared before: so it can be recorded, see `RecordedUpdates`.

        Args:
            indices: samples of this worker, on the CPU.
            places: the same on the device.
        """
        training = self._spec.training
        first = group[0]
        true_semantic = training.semantic_labels == "true"
        batch = self._images.batch(indices, places, true_semantic=true_semantic)
        batch = augmented_batch(first, batch)
        bf16 = uses_bf16(training, first.device)
        with torch.autocast(first.device.type, torch.bfloat16, enabled=bf16):
            all_terms = self._step(group, batch)
        first.update_averages(GENERATOR_SIDE)
        for state in group:
            if state.trains_classifier:
                state.update_averages(CLASSIFIER_SIDE)
        return all_terms

    def _preempted(self, step: int) -> bool:
        if self._is_preempted is None or step % PREEMPTION_CHECK_STEPS:
            return False
        return self._is_preempted()
