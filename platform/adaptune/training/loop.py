"""A trial's training, epoch by epoch. It does not know who receives the records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import cast

import torch

from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import TrialData
from adaptune.errors import PreemptedError
from adaptune.models.classifiers import Classifier
from adaptune.seeding import derive_seed
from adaptune.spec.loss_terms import terms_of
from adaptune.spec.schema import TrialSpec
from adaptune.training.batch_norm import adapted_copy, running_statistics
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint
from adaptune.training.class_balance import balanced_labels
from adaptune.training.distributed import average_buffers, rank, unwrap
from adaptune.training.health import HealthMonitor, HealthProbe
from adaptune.training.loss_meter import LossMeter
from adaptune.training.record import TARGET_VAL, EpochRecord
from adaptune.training.sample_grid import sample_grid
from adaptune.training.state import StateDict, TrainingState, build_state
from adaptune.training.steps.augment import augmented_batch
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step
from adaptune.training.validation import Validation

IsPreempted = Callable[[], bool]
PREEMPTION_CHECK_STEPS = 20  # the check makes all workers meet
GENERATOR_TERMS = set(terms_of("generators"))
STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}


def fit(
    spec: TrialSpec,
    data: TrialData,
    source_weights: StateDict,
    *,
    device: torch.device,
    checkpoints: CheckpointFolder | None = None,
    images: TrainingImages | None = None,
    metric: str = TARGET_VAL,
    health: bool = False,
    is_preempted: IsPreempted | None = None,
) -> Iterator[EpochRecord]:
    """Train one trial and yield a record after each epoch; closing the generator stops the trial.

    If `checkpoints` holds a checkpoint of this trial, training resumes from the newest one. Its
    record is yielded first, since nobody may have received it before the interruption.

    Args:
        source_weights: weights of f_S.
        images: training images of an earlier trial on the same data and f_S. Predicting f_S's
            labels takes longer than everything else before a trial.
        metric: metric by which the best epoch, whose checkpoint is kept, is chosen.
        health: whether each epoch is checked for the symptoms of a failing GAN.
        is_preempted: asked now and then by all workers alike. If it returns True, the trial is
            saved in mid-epoch and ends.

    Raises:
        NonFiniteLossError: a loss term, or a logit of f_T after an epoch, is NaN or infinite.
        CheckpointError: a checkpoint cannot be loaded, or access to the folder is denied.
        WorkersLostError: see `CheckpointFolder.restore`.
        PreemptedError: `is_preempted` returned True.
    """
    state = build_state(spec, len(data.class_names), source_weights, device)
    resume_point = ResumePoint() if checkpoints is None else checkpoints.restore(state)
    last = resume_point.record
    if last is not None:
        yield last
    training = images or TrainingImages(data, state.networks.f_s, device)
    meter = LossMeter(spec.loss_weights, device)
    meter.resume(resume_point.means, resume_point.updates)
    epoch_trainer = EpochTrainer(state, training, is_preempted)
    evaluator = _EpochEvaluator(state, data, training, last, check_health=health)
    for epoch in range(state.step // spec.training.steps_per_epoch + 1, spec.training.epochs + 1):
        start = time.perf_counter()
        if not epoch_trainer.train(epoch, meter):
            if checkpoints is not None:
                means, updates = meter.running_means()
                checkpoints.save_mid_epoch(state, ResumePoint(last, means, updates))
            raise PreemptedError(f"preempted at update {state.step}, in epoch {epoch}")
        losses = meter.means()
        train_s = time.perf_counter() - start
        last = evaluator.evaluate(epoch, losses, train_s)
        state.update_best(epoch, last.score(metric))
        if checkpoints is not None:
            checkpoints.save(state, last)
            if rank() == 0:
                checkpoints.save_sample_grid(epoch, sample_grid(state, training))
        meter = LossMeter(spec.loss_weights, device)
        yield last


class EpochTrainer:
    """Trains the networks of a trial.

    Args:
        is_preempted: see `fit`.
    """

    def __init__(
        self, state: TrainingState, images: TrainingImages, is_preempted: IsPreempted | None
    ) -> None:
        spec = state.spec
        order_seed = derive_seed(spec.seed, "order")
        self._state = state
        self._images = images
        self._is_preempted = is_preempted
        self._step = STEPS[spec.method]
        self._sampler = UnpairedSampler(
            len(images.source),
            len(images.target),
            spec.training.batch_size,
            order_seed,
            balanced_labels(spec, images.source),
            labelled_size=0 if images.labelled_target is None else len(images.labelled_target),
        )

    def train(self, epoch: int, meter: LossMeter) -> bool:
        """Train to the end of the epoch; return False if the trial was preempted before."""
        state = self._state
        spec = state.spec
        true_semantic = spec.training.semantic_labels == "true"
        bf16 = spec.training.precision == "bf16"
        state.networks.f_t.train()
        while state.step < epoch * spec.training.steps_per_epoch:
            if self._preempted():
                return False
            # Dropout draws from torch's own generator. Seeding it by the step keeps a resume exact.
            torch.manual_seed(derive_seed(spec.seed, "dropout", state.step, rank()))
            state.set_learning_rates()
            batch = self._images.batch(self._sampler, state.step, true_semantic=true_semantic)
            batch = augmented_batch(state, batch)
            with torch.autocast(state.device.type, torch.bfloat16, enabled=bf16):
                terms = self._step(state, batch)
            state.update_averages()
            state.step += 1
            meter.add(state.step, terms)
        return True

    def _preempted(self) -> bool:
        if self._is_preempted is None or self._state.step % PREEMPTION_CHECK_STEPS:
            return False
        return self._is_preempted()


class _EpochEvaluator:
    """Evaluates the networks of a trial after each epoch."""

    def __init__(
        self,
        state: TrainingState,
        data: TrialData,
        images: TrainingImages,
        last: EpochRecord | None,
        *,
        check_health: bool,
    ) -> None:
        self._state = state
        training = state.spec.training
        self._target = images.target
        self._validation = Validation(
            data,
            state.device,
            bf16=training.precision == "bf16",
            is_resident=images.is_resident,
        )
        self._probe = HealthProbe(data, state.device, training) if check_health else None
        self._monitor = HealthMonitor(state.spec.training.gan_loss, state.lowest_losses, last)

    def evaluate(self, epoch: int, losses: dict[str, float], train_s: float) -> EpochRecord:
        """Return the record of an epoch that was trained in `train_s` seconds."""
        state = self._state
        start = time.perf_counter()
        averages = [average.module for average in state.averages.values()]
        average_buffers([unwrap(state.networks.f_t), *averages])
        f_t = cast(Classifier, state.eval_network("f_t"))
        if state.spec.training.adapt_batch_norm:
            f_t = adapted_copy(f_t, self._target, state.spec)
            state.eval_buffers = {"f_t": running_statistics(f_t)}
        scores = self._validation.scores(f_t, state.step)
        health = None
        if self._probe is not None and GENERATOR_TERMS & losses.keys():
            report = self._probe.report(state.eval_network("g_st"), state.networks.f_s)
            health = self._monitor.update(report, losses)
        return EpochRecord(
            epoch=epoch,
            train_s=train_s,
            eval_s=time.perf_counter() - start,
            source_val_accuracy=scores.source_val_accuracy,
            target_val_accuracy=scores.target_val_accuracy,
            target_val_loss=scores.target_val_loss,
            source_val=scores.source_val,
            target_val=scores.target_val,
            losses=losses,
            validators=scores.validators,
            health=health,
        )
