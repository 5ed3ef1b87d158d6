"""The evaluation of a trial after an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch

from adaptune.data.splits import TrialData
from adaptune.models.classifiers import Classifier
from adaptune.spec.loss_terms import terms_of
from adaptune.spec.schema import TrialSpec
from adaptune.training.batch_norm import adapted_copy, running_statistics
from adaptune.training.build import uses_bf16
from adaptune.training.distributed import average_buffers, unwrap
from adaptune.training.health import HealthProbe
from adaptune.training.networks import GENERATOR_SIDE
from adaptune.training.record import HealthReport
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.validation import Validation, ValidationScores

GENERATOR_TERMS = set(terms_of("generators"))


class EpochEvaluator:
    """Evaluates the networks of a trial, or of the trials of a group one after another.

    Args:
        spec: spec of any trial of the group.
        images: training images of the group.
        check_health: whether the generators are checked for the symptoms of a failing GAN.
        has_validators: whether the validators are computed.
    """

    def __init__(
        self,
        spec: TrialSpec,
        data: TrialData,
        images: TrainingImages,
        device: torch.device,
        *,
        check_health: bool,
        has_validators: bool = True,
    ) -> None:
        training = spec.training
        self._target = images.target
        self._validation = Validation(
            data,
            device,
            bf16=uses_bf16(training, device),
            is_resident=images.is_resident,
            has_validators=has_validators,
        )
        self._probe = HealthProbe(data, device, training) if check_health else None

    def health(self, state: TrainingState, losses: Mapping[str, float]) -> HealthReport | None:
        """Return the health of the generators, without a diagnosis; None if it is not checked.

        Args:
            losses: mean of each loss term over the epoch.
        """
        for name in GENERATOR_SIDE:
            if name in state.averages:
                average_buffers([state.averages[name].module])
        if self._probe is None or not GENERATOR_TERMS & losses.keys():
            return None
        return self._probe.report(state.eval_network("g_st"), state.networks.f_s)

    def scores(self, state: TrainingState) -> ValidationScores:
        """Return the scores of f_T.

        Raises:
            NonFiniteLossError: a logit of f_T is not finite.
        """
        f_t = cast(Classifier, state.eval_network("f_t"))
        average_buffers(dict.fromkeys([unwrap(state.networks.f_t), f_t]))
        if state.spec.training.adapt_batch_norm:
            f_t = adapted_copy(f_t, self._target, state.spec)
            state.eval_buffers = {"f_t": running_statistics(f_t)}
        return self._validation.scores(f_t, state.step)
