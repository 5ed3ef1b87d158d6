"""The phases of an update that train f_T and D_feat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from adaptune.losses.classification import task_loss
from adaptune.losses.confusion import confusion_loss
from adaptune.losses.feature import domain_accuracy, feature_discriminator_loss, feature_loss
from adaptune.losses.information import information_loss
from adaptune.seeding import derive_seed
from adaptune.spec.loss_terms import LossWeights
from adaptune.training.augment.fourier import fourier_adapted
from adaptune.training.distributed import all_gather_with_grad, all_reduce_mean, rank, unwrap
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import augmented
from adaptune.training.steps.batch import Batch, joined
from adaptune.training.steps.consistency import consistency_terms, strong_view
from adaptune.training.steps.optimization import LossTerms, frozen, optimizer_step, weighted_sum


def task_phase(state: TrainingState, batch: Batch, translated: Tensor) -> LossTerms:
    """Update f_T once on translated source images and their labels (CyCADA, eq. 1).

    Args:
        translated: G_st(x_s), (N, C, H, W) in [-1, 1].

    Returns:
        The scalars `task` and, with labelled target images, `task_target`.
    """
    images, labels = _labelled_images(state, batch, translated)
    logits = _logits(state, {"labelled": images} | _labelled_target(state, batch))
    terms = _task_terms(batch, logits, labels)
    optimizer_step(state.optimizers.f_t, weighted_sum(terms, state.spec.loss_weights))
    return terms


def adaptation_phase(state: TrainingState, batch: Batch, translated: Tensor) -> LossTerms:
    """Update D_feat and f_T once each: the feature level of CyCADA.

    f_T minimises task + task_target + information + confusion + consistency + feature, each with
    its weight. D_feat reads the logits of f_T for translated source images and for target images.

    Args:
        translated: G_st(x_s), (N, C, H, W) in [-1, 1].

    Returns:
        The scalars `task`, `task_target`, `information`, `confusion`, `consistency`, `feature`,
        and with these last two `confident` (see `consistency_terms`), `feature_discriminator` (loss
        of D_feat) and `feature_gate` (0 or 1). Terms of weight 0 are left out.
    """
    d_feat = state.networks.d_feat
    weights = state.spec.loss_weights
    target = _target_images(state, batch)
    groups, labels = _classified_images(state, batch, translated, target)
    logits = _logits(state, groups)

    terms = _task_terms(batch, logits, labels)
    if weights.information or weights.confusion:
        terms |= _batch_terms(state, logits["target"])
    figures: LossTerms = {}  # which have no weight
    if weights.consistency:
        both = consistency_terms(state, logits["strong view"], target)
        terms["consistency"] = both["consistency"]
        figures["confident"] = both["confident"]
    if not weights.feature:
        optimizer_step(state.optimizers.f_t, weighted_sum(terms, weights))
        return terms | figures

    translated_logits = logits["labelled"][: len(translated)]
    target_logits = logits["target"]
    figures |= feature_discriminator_step(state, translated_logits.detach(), target_logits.detach())
    with frozen(d_feat):
        # The gate is a factor, so that all workers do the same work whether it is open or not.
        terms["feature"] = figures["feature_gate"] * feature_loss(unwrap(d_feat)(target_logits))
        optimizer_step(state.optimizers.f_t, weighted_sum(terms, weights))
    return terms | figures


def feature_discriminator_step(
    state: TrainingState, translated_logits: Tensor, target_logits: Tensor
) -> LossTerms:
    """Update D_feat once on logits of f_T, without gradients: (N, K), (N, K).

    Returns:
        `feature_discriminator`: the loss of D_feat, a scalar.
        `feature_gate`: 1 if the accuracy of D_feat exceeds the gate of the spec, otherwise 0; a
        scalar, equal on all workers.
    """
    logits = torch.cat([translated_logits, target_logits])
    sizes = [len(translated_logits), len(target_logits)]
    source_domain, target_domain = state.networks.d_feat(logits).split(sizes)
    loss = feature_discriminator_loss(source_domain, target_domain)
    optimizer_step(state.optimizers.d_feat, loss)
    accuracy = all_reduce_mean(domain_accuracy(source_domain, target_domain))
    gate = (accuracy > state.spec.training.feature_gate).float()
    return {"feature_discriminator": loss.detach(), "feature_gate": gate}


def _classified_images(
    state: TrainingState, batch: Batch, translated: Tensor, target: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the groups of images that f_T classifies, and the labels of the group `labelled`.

    Args:
        translated: G_st(x_s), (N, C, H, W) in [-1, 1].
        target: target images, changed by `training.augment`, (N, C, H, W) in [-1, 1].
    """
    weights = state.spec.loss_weights
    groups = {}
    if _classifies_the_target(weights):
        groups["target"] = target
    groups |= _labelled_target(state, batch)
    if weights.consistency:
        groups["strong view"] = strong_view(state, batch.target)
    if not _reads_the_source(state) and groups:
        return groups, batch.source_labels
    images, labels = _labelled_images(state, batch, translated)
    return {"labelled": images, **groups}, labels


def _reads_the_source(state: TrainingState) -> bool:
    """Return whether a term, or the semantic gate, needs f_T's logits of source images."""
    weights = state.spec.loss_weights
    has_gate = state.spec.training.semantic_gate is not None
    return weights.task > 0 or weights.feature > 0 or has_gate


def _labelled_images(
    state: TrainingState, batch: Batch, translated: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the images with source labels that f_T is trained on, and these labels.

    (N, C, H, W) → (N, C, H, W), (N,) with the translated images only, or (2 N, C, H, W), (2 N,)
    if the spec asks for the source images as well; the translated images come first.
    """
    if state.spec.training.task_images == "translated":
        [images] = _in_target_colours(state, [translated.detach()], batch)
        return _augmented(state, images, "source"), batch.source_labels
    both = _in_target_colours(state, [translated.detach(), batch.source], batch)
    images = _augmented(state, both[0], "source")
    originals = _augmented(state, both[1], "original")
    return torch.cat([images, originals]), batch.source_labels.repeat(2)


def _in_target_colours(
    state: TrainingState, groups: Sequence[Tensor], batch: Batch
) -> Sequence[Tensor]:
    """Give groups of N images the low frequencies of the batch's N target images.

    (N, C, H, W) each → the same.
    """
    beta = state.spec.training.fourier_beta
    if not beta:
        return groups
    adapted = fourier_adapted(joined(groups), batch.target, beta)
    return list(adapted.split(len(batch.target)))


def _classifies_the_target(weights: LossWeights) -> bool:
    """Return whether a term reads f_T's logits of the target images."""
    return bool(weights.feature or weights.information or weights.confusion)


def _target_images(state: TrainingState, batch: Batch) -> Tensor:
    """Return the target images as f_T and its teacher see them, unchanged if neither does.

    (N, C, H, W) → (N, C, H, W).
    """
    weights = state.spec.loss_weights
    if _classifies_the_target(weights) or weights.consistency:
        return _augmented(state, batch.target, "target")
    return batch.target


def _labelled_target(state: TrainingState, batch: Batch) -> dict[str, Tensor]:
    """Return the labelled target images under a name, or nothing if their term is switched off."""
    if batch.labelled_target is None or not state.spec.loss_weights.task_target:
        return {}
    images = _augmented(state, batch.labelled_target, "labelled-target")
    return {"labelled target": images}


def _logits(state: TrainingState, groups: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Classify groups of images, (N, C, H, W) each, in one pass of f_T: (N, K) each."""
    # Dropout draws from torch's own generator. Seeding it by the step keeps a resume exact, and a
    # trial independent of the others of its group.
    state.draws.seed(lambda: derive_seed(state.spec.seed, "dropout", state.step, rank()))
    logits = state.networks.f_t(torch.cat(list(groups.values())))
    sizes = [len(images) for images in groups.values()]
    return dict(zip(groups, logits.split(sizes), strict=True))


def _task_terms(batch: Batch, logits: Mapping[str, Tensor], labels: Tensor) -> LossTerms:
    """Compute the cross-entropies of f_T on labelled images of both domains, as scalars."""
    terms = {}
    if "labelled" in logits:
        terms["task"] = task_loss(logits["labelled"], labels)
    if "labelled target" in logits and batch.labelled_target_labels is not None:
        terms["task_target"] = task_loss(logits["labelled target"], batch.labelled_target_labels)
    return terms


def _batch_terms(state: TrainingState, target_logits: Tensor) -> LossTerms:
    """Compute the terms that are statistics of a batch: (N, K) → scalars."""
    weights = state.spec.loss_weights
    terms: LossTerms = {}
    # They depend on the whole batch: the mean of each worker's own is another loss.
    logits = all_gather_with_grad(target_logits)
    if weights.information:
        terms["information"] = information_loss(logits)
    if weights.confusion:
        temperature = state.spec.training.confusion_temperature
        terms["confusion"] = confusion_loss(logits, temperature)
    return terms


def _augmented(state: TrainingState, images: Tensor, purpose: str) -> Tensor:
    """Change images for f_T by `training.augment`: (N, C, H, W) → (N, C, H, W)."""
    return augmented(state, state.spec.training.augment, images, f"augment-{purpose}")
