"""Step 2 of CyCADA: f_T learns from translated source images, and adapts to target images."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.losses.classification import task_loss
from adaptune.losses.feature import domain_accuracy, feature_discriminator_loss, feature_loss
from adaptune.losses.information import information_loss
from adaptune.training.distributed import all_gather_with_grad, all_reduce_mean, rank, unwrap
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import apply, draw
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.generators import LossTerms, frozen, optimizer_step, weighted_sum


def task_phase(state: TrainingState, batch: Batch, translated: Tensor) -> LossTerms:
    """One update of f_T on G_source_to_target(x_s) with the source labels: all of it in CycleGAN."""
    images, labels = _labelled(state, batch, translated)
    terms = {"task": task_loss(state.networks.f_target(images), labels)}
    optimizer_step(state.optimizers.f_target, weighted_sum(terms, state.spec.loss_weights))
    return terms


def adaptation_phase(state: TrainingState, batch: Batch, translated: Tensor) -> LossTerms:
    """One update of D_feat and one of f_T: task + feature + information.

    D_feat reads f_T's logits of translated source and of target images. f_T follows its feature
    term only where D_feat's accuracy on the batch is above the gate; the gate multiplies the term,
    so that all workers do the same work whatever it says.
    """
    nets, weights = state.networks, state.spec.loss_weights
    images, labels = _labelled(state, batch, translated)
    if weights.feature or weights.information:
        images = torch.cat([images, _augmented(state, batch.target, "target")])
    source_logits, target_logits = nets.f_target(images).tensor_split([len(labels)])
    terms = {"task": task_loss(source_logits, labels)}
    logged: LossTerms = {}
    if weights.information:
        # H(mean p) is the whole batch's: a mean over workers of their own would be another loss.
        terms["information"] = information_loss(all_gather_with_grad(target_logits))
    if weights.feature:
        translated_logits = source_logits[: len(translated)]
        gate, logged = _feature_discriminator_step(
            state, translated_logits.detach(), target_logits.detach()
        )
        with frozen(nets.d_feature):
            terms["feature"] = gate * feature_loss(unwrap(nets.d_feature)(target_logits))
            logged["feature_gate"] = gate
            optimizer_step(state.optimizers.f_target, weighted_sum(terms, weights))
    else:
        optimizer_step(state.optimizers.f_target, weighted_sum(terms, weights))
    return terms | logged


def _labelled(state: TrainingState, batch: Batch, translated: Tensor) -> tuple[Tensor, Tensor]:
    """What f_T learns the source labels from: translated images, then the source's own where the spec asks for both."""
    images = _augmented(state, translated.detach(), "source")
    if state.spec.training.task_images == "translated":
        return images, batch.source_labels
    return torch.cat(
        [images, _augmented(state, batch.source, "original")]
    ), batch.source_labels.repeat(2)


def _feature_discriminator_step(
    state: TrainingState, source: Tensor, target: Tensor
) -> tuple[Tensor, LossTerms]:
    """Update D_feat; returns the gate (0 or 1) for f_T, the same on all workers."""
    source_domain, target_domain = state.networks.d_feature(torch.cat([source, target])).split(
        [len(source), len(target)]
    )
    loss = feature_discriminator_loss(source_domain, target_domain)
    optimizer_step(state.optimizers.d_feature, loss)
    accuracy = all_reduce_mean(domain_accuracy(source_domain, target_domain))
    return (accuracy > state.spec.training.feature_gate).float(), {
        "feature_discriminator": loss.detach()
    }


def _augmented(state: TrainingState, images: Tensor, purpose: str) -> Tensor:
    maps = draw(
        state.spec.training.augment,
        state.spec.training.batch_size,
        state.generator(f"augment-{purpose}"),
    )
    if maps is None:
        return images
    share = slice(rank() * len(images), (rank() + 1) * len(images))
    return apply(images, maps[share])
