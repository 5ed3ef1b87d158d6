"""The training of trials, epoch by epoch. It does not know who receives the records."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

import torch

from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError, PreemptedError
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.cuda_graph import Recorder
from adaptune.training.epoch_evaluator import EpochEvaluator
from adaptune.training.epoch_trainer import EpochTrainer, IsPreempted
from adaptune.training.group import GroupTrial, TrialGroup
from adaptune.training.record import TARGET_VAL, EpochRecord
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import TrainingImages

Outcome = EpochRecord | NonFiniteLossError  # of an epoch of a trial


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

    Args:
        checkpoints: folder of the trial's checkpoints.

    Raises:
        NonFiniteLossError: a loss term, or a logit of f_T after an epoch, is NaN or infinite.
        CheckpointError, WorkersLostError, PreemptedError: see `fit_group`, as for the other
            arguments.
    """
    for outcomes in fit_group(
        {0: GroupTrial(spec, checkpoints)},
        data,
        source_weights,
        device=device,
        images=images,
        metric=metric,
        health=health,
        is_preempted=is_preempted,
    ):
        if isinstance(outcomes[0], NonFiniteLossError):
            raise outcomes[0]
        yield outcomes[0]


def fit_group(
    trials: Mapping[int, GroupTrial],
    data: TrialData,
    source_weights: StateDict,
    *,
    device: torch.device,
    images: TrainingImages | None = None,
    metric: str = TARGET_VAL,
    health: bool = False,
    is_preempted: IsPreempted | None = None,
    stopped: Collection[int] = (),
    recorder: Recorder | None = None,
) -> Iterator[dict[int, Outcome]]:
    """Train the trials of a group on one GAN, and yield their outcomes after each epoch.

    Each trial has the numbers that it would have alone. One that has a term that is not finite ends
    with its error, and the others continue.

    If the folder holds a checkpoint of the group, training resumes from the newest one. Its records
    are yielded first, since nobody may have received them before the interruption.

    Args:
        trials: the trials, by their numbers.
        source_weights: weights of f_S.
        images: training images of an earlier trial on the same data and f_S, with f_S's labels.
        metric: metric by which the best epochs, whose checkpoints are kept, are chosen.
        health: whether each epoch is checked for the symptoms of a failing GAN.
        is_preempted: asked now and then by all workers alike; True saves the group, and ends it.
        stopped: numbers of trials that do not continue; read before each epoch.
        recorder: see `EpochTrainer`.

    Raises:
        CheckpointError, WorkersLostError: see `CheckpointFolder.restore`.
        PreemptedError: `is_preempted` returned True.
    """
    group = TrialGroup(trials, len(data.class_names), source_weights, device)
    if last_records := group.last_records():
        yield {**last_records}
    spec = group.first.spec
    images = images or TrainingImages(data, device)
    if spec.has_semantic_term:
        images.predict(group.first.networks.f_s)
    trainer = EpochTrainer(spec, images, is_preempted, recorder)
    evaluator = EpochEvaluator(spec, data, images, device, check_health=health)
    last_epoch = group.first.step // spec.training.steps_per_epoch
    for epoch in range(last_epoch + 1, spec.training.epochs + 1):
        group.end(stopped)
        if not group.members:
            return
        start = time.perf_counter()
        if not trainer.train(epoch, list(group.members.values())):
            group.save_mid_epoch()
            raise PreemptedError(f"preempted at update {group.first.step}, in epoch {epoch}")
        share_s = (time.perf_counter() - start) / len(group.members)
        outcomes = evaluate_group(group, epoch, evaluator, metric, share_s)
        group.end(number for number, outcome in outcomes.items() if isinstance(outcome, Exception))
        if group.members:
            group.save()
            group.save_sample_grid(epoch, images)
        yield outcomes


def evaluate_group(
    group: TrialGroup, epoch: int, evaluator: EpochEvaluator, metric: str, train_s: float
) -> dict[int, Outcome]:
    """Return the outcome of an epoch for each trial of a group.

    Args:
        metric: metric by which the best epochs are chosen.
        train_s: seconds of training per trial.
    """
    outcomes: dict[int, Outcome] = {}
    losses: dict[int, dict[str, float]] = {}
    for number, member in group.members.items():
        try:
            losses[number] = member.meter.means()
        except NonFiniteLossError as error:
            outcomes[number] = error.with_traceback(None)  # which would keep the networks
    start = time.perf_counter()
    health = evaluator.health(group.first, next(iter(losses.values()), {}))
    health_s = (time.perf_counter() - start) / len(group.members)
    for number, means in losses.items():
        member = group.members[number]
        start = time.perf_counter()
        try:
            scores = evaluator.scores(member.state)
        except NonFiniteLossError as error:
            outcomes[number] = error.with_traceback(None)
            continue
        record = EpochRecord(
            epoch=epoch,
            train_s=train_s,
            eval_s=health_s + time.perf_counter() - start,
            losses=means,
            gradient_norms=member.gradient_norms.values(),
            health=health,
            **vars(scores),
        )
        outcomes[number] = member.end_epoch(record, metric)
    return outcomes
