"""Training of the baselines: trials without a GAN, and the target-supervised upper bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import cast

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError
from adaptune.models.classifiers import Classifier
from adaptune.spec.schema import TrialSpec
from adaptune.training.averages import MovingAverage
from adaptune.training.batch_norm import adapted_copy
from adaptune.training.build import build_classifier, to_device, uses_bf16
from adaptune.training.epoch_evaluator import EpochEvaluator
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import GroupTrial, TrialGroup
from adaptune.training.loop import Outcome, evaluate_group
from adaptune.training.metrics import metric_of
from adaptune.training.record import EpochRecord
from adaptune.training.source_classifier import (
    to_cpu,
    train_source_classifier,
    train_supervised,
)
from adaptune.training.state import StateDict, TrainingState
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.validation import Validation


@dataclass(frozen=True)
class Candidate:
    """A classifier after an epoch, from which the best one is chosen.

    Attributes:
        record: scores of the epoch; epoch 0 is f_S.
        weights: weights of the classifier, on the CPU.
    """

    record: EpochRecord
    weights: StateDict


def train_without_gan(
    specs: Sequence[TrialSpec],
    data: TrialData,
    source_weights: StateDict,
    *,
    device: torch.device,
    metric: str,
    epochs: int,
    is_resident: bool = True,
) -> list[Candidate | None]:
    """Train trials without a GAN side by side, and return the best epoch of each.

    Args:
        specs: specs of the trials, whose generators have no loss term. They differ in settings of
            the classifier side only.
        source_weights: weights of f_S.
        metric: metric by which the best epochs are chosen.
        epochs: epochs to train; the learning rates are those of a whole trial.
        is_resident: see `DeviceImages`.

    Returns:
        The best epoch of each trial; None if a loss term was not finite, or the metric never was.
    """
    trials = {number: GroupTrial(spec) for number, spec in enumerate(specs)}
    group = TrialGroup(trials, len(data.class_names), source_weights, device)
    images = TrainingImages(data, device, is_resident=is_resident)
    trainer = EpochTrainer(specs[0], images, None)
    evaluator = EpochEvaluator(
        specs[0],
        data,
        images,
        device,
        check_health=False,
        has_validators=_has_validators(metric),
    )
    best: dict[int, Candidate] = {}
    for epoch in range(1, epochs + 1):
        if group.members:
            trainer.train(epoch, list(group.members.values()))
            _note_best(group, epoch, evaluate_group(group, epoch, evaluator, metric, 0.0), best)
    return [best.get(number) for number in trials]


def _note_best(
    group: TrialGroup,
    epoch: int,
    outcomes: Mapping[int, Outcome],
    best: dict[int, Candidate],
) -> None:
    """Update the best epoch of each trial of a group; one that has failed ends, without any."""
    for number, outcome in outcomes.items():
        state = group.members[number].state
        if isinstance(outcome, NonFiniteLossError):
            best.pop(number, None)
            group.end([number])
        elif state.best_epoch == epoch:
            best[number] = Candidate(outcome, _evaluated_weights(state))


def plain_source_candidate(
    spec: TrialSpec,
    data: TrialData,
    *,
    device: torch.device,
    metric: str,
    is_resident: bool = True,
) -> Candidate:
    """Return f_S as it is trained without the colours of target images: source only.

    Args:
        metric: metric by which it is compared.
        is_resident: see `DeviceImages`.

    Raises:
        NonFiniteLossError: a logit is not finite.
    """
    weights = train_source_classifier(
        spec, data, device, is_resident=is_resident, in_target_colours=False
    )
    return source_candidate(spec, data, weights, device=device, metric=metric)


def source_candidate(
    spec: TrialSpec,
    data: TrialData,
    source_weights: StateDict,
    *,
    device: torch.device,
    metric: str,
) -> Candidate:
    """Return f_S as epoch 0 of a trial, with batch norm statistics of the target if asked for.

    Args:
        metric: metric by which it is compared.

    Raises:
        NonFiniteLossError: a logit of f_S is not finite.
    """
    f_s = build_classifier(spec.model.classifier, spec.data.source, len(data.class_names))
    f_s.load_state_dict(source_weights)
    to_device(f_s, device, spec.training)
    return _Scorer(spec, data, device, metric).candidate(f_s, epoch=0)


def train_on_target(
    spec: TrialSpec, images: DeviceImages, data: TrialData, *, metric: str
) -> Candidate | None:
    """Train a classifier on labelled target images, and return its best epoch: the upper bound.

    It is trained like f_S, with the moving average and the precision of f_T, and scored as often
    as a trial.

    Args:
        images: labelled target images.
        data: data of the trials, by whose target_val the best epoch is chosen.
        metric: metric by which it is chosen.

    Returns:
        The best epoch; None if a logit was not finite.
    """
    training = spec.training
    steps_per_epoch = ceil(training.source.steps / training.epochs)
    scorer = _Scorer(spec, data, images.device, metric)
    average: MovingAverage | None = None
    best: Candidate | None = None

    def score(step: int, net: nn.Module) -> None:
        nonlocal average, best
        average = average or MovingAverage(net, training.classifier_ema_decay)
        if step > 1:  # after the first update, the average is a copy
            average.set_weight(step - 2)
            average.update(net)
        if step % steps_per_epoch == 0 or step == training.source.steps:
            candidate = scorer.candidate(average.module, ceil(step / steps_per_epoch))
            if best is None or candidate.record.rank_key(metric) > best.record.rank_key(metric):
                best = candidate

    classes = len(data.class_names)
    bf16 = uses_bf16(training, images.device)
    try:
        train_supervised(spec, images, classes, "target-supervised", bf16=bf16, on_update=score)
    except NonFiniteLossError:
        return None
    return best


class _Scorer:
    """Scores classifiers as those of trials are scored after an epoch."""

    def __init__(self, spec: TrialSpec, data: TrialData, device: torch.device, metric: str) -> None:
        self._spec = spec
        self._validation = Validation(
            data,
            device,
            bf16=uses_bf16(spec.training, device),
            is_resident=False,
            has_validators=_has_validators(metric),
        )
        self._target = DeviceImages(data.target_train_images, None, device, is_resident=False)

    def candidate(self, net: nn.Module, epoch: int) -> Candidate:
        """Return a classifier, on the device of the data, with its scores."""
        classifier = cast(Classifier, net)
        if self._spec.training.adapt_batch_norm:
            classifier = adapted_copy(classifier, self._target, self._spec)
        scores = self._validation.scores(classifier, epoch)
        record = EpochRecord(epoch=epoch, train_s=0.0, eval_s=0.0, **vars(scores))
        return Candidate(record, to_cpu(classifier))


def _has_validators(metric: str) -> bool:
    """Return whether a metric is a validator, or combines some."""
    return metric_of(metric) is None


def _evaluated_weights(state: TrainingState) -> dict[str, Tensor]:
    """Return the weights of f_T for evaluation, on the CPU."""
    weights = to_cpu(state.eval_network("f_t"))
    for name, buffer in state.eval_buffers.get("f_t", {}).items():
        weights[name] = buffer.detach().cpu().clone()
    return weights
