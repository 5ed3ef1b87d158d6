"""Sizes of checkpoints and sample grids, computed from a spec without training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import torch
from pydantic import ValidationError
from torch import nn

from adaptune.spec.distributions import Choice, Value
from adaptune.spec.loss_terms import terms_of
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.build import (
    build_classifier,
    build_discriminator,
    build_feature_discriminator,
    build_generator,
)
from adaptune.training.networks import CLASSIFIER_SIDE
from adaptune.training.sample_grid import COLUMNS, ROWS

# Name, shape and position of a tensor in the file.
_BYTES_PER_TENSOR = 290
_ADAM_STEP_BYTES = 4
_IMAGE_VALUE_BYTES = 4  # translations are float32 even with bf16
_PNG_BYTES_PER_VALUE = 0.75  # natural images are compressed to about this
_SEARCHED = (
    "model.",
    "training.classifier_optimizer",
    "training.batch_size",
    "training.pool_size",
    "training.pool_unit",
    "loss_weights.",
)
_SEARCHED_DECAYS = ("training.ema_decay", "training.classifier_ema_decay")
_MAX_COMBINATIONS = 64


def checkpoint_bytes(spec: TrialSpec, classes: int, workers: int, trials: int = 1) -> int:
    """Return the size of a checkpoint once the image pools are full, to a few percent.

    Args:
        classes: number of classes, K.
        workers: number of workers of the trial; each has its own image pools.
        trials: number of trials that share the GAN.
    """
    tensors = list(_pool_bytes(spec, workers))
    for name, network in _networks(spec, classes).items():
        of_network = list(_network_bytes(spec, name, network))
        tensors += of_network * (trials if name in CLASSIFIER_SIDE else 1)
    return sum(tensors) + _BYTES_PER_TENSOR * len(tensors)


def largest_checkpoint_bytes(spec: SearchSpec, classes: int, workers: int) -> int:
    """Return the size of the largest checkpoint that a trial of a search may have.

    Args:
        classes: number of classes, K.
        workers: number of workers per trial.
    """
    options: dict[str, tuple[Value, ...]] = {}
    for path, distribution in spec.space.items():
        if path.startswith((*_SEARCHED, *_SEARCHED_DECAYS)):
            bounds = distribution.bounds()
            # The largest number makes the largest checkpoint; of a list, each may.
            options[path] = bounds if isinstance(distribution, Choice) else bounds[-1:]
    combinations = itertools.product(*options.values())
    trials = spec.search.group_size
    largest = checkpoint_bytes(spec.trial({}), classes, workers, trials)
    for combination in itertools.islice(combinations, _MAX_COMBINATIONS):
        try:
            trial = spec.trial(dict(zip(options, combination, strict=True)))
        except ValidationError:  # networks that do not go together
            continue
        largest = max(largest, checkpoint_bytes(trial, classes, workers, trials))
    return largest


def sample_grid_bytes(spec: TrialSpec) -> int:
    """Return about the size of a sample grid."""
    images = spec.data.source
    return round(ROWS * COLUMNS * images.channels * images.size**2 * _PNG_BYTES_PER_VALUE)


def _network_bytes(spec: TrialSpec, name: str, network: nn.Module) -> Iterator[int]:
    """Yield the size of each tensor of a network, of its average and of its optimizer."""
    yield from _state_bytes(network)
    if name in _averaged(spec):
        yield from _state_bytes(network)
    if name not in _updated(spec):
        return
    is_adam = name != "f_t" or spec.training.classifier_optimizer == "adam"
    for parameter in network.parameters():
        if is_adam:  # count and two moments
            yield from (_ADAM_STEP_BYTES, parameter.nbytes, parameter.nbytes)
        elif spec.training.classifier_momentum:
            yield parameter.nbytes


def _pool_bytes(spec: TrialSpec, workers: int) -> Iterator[int]:
    """Yield the sizes of the image pools of all workers."""
    if spec.loss_weights.adversarial:
        images = spec.data.source
        image_bytes = images.channels * images.size**2 * _IMAGE_VALUE_BYTES
        yield from [spec.training.pool_images(workers) * image_bytes] * (2 * workers)


def _networks(spec: TrialSpec, classes: int) -> Mapping[str, nn.Module]:
    """Return the trained networks, by name, without memory for their weights."""
    model = spec.model
    channels = spec.data.source.channels
    init_gain = spec.training.init_gain
    with torch.device("meta"):
        return {
            "g_st": build_generator(model, channels, init_gain),
            "g_ts": build_generator(model, channels, init_gain),
            "d_s": build_discriminator(model, channels, init_gain),
            "d_t": build_discriminator(model, channels, init_gain),
            "f_t": build_classifier(model.classifier, spec.data.source, classes),
            "d_feat": build_feature_discriminator(model, classes),
        }


def _state_bytes(network: nn.Module) -> list[int]:
    return [tensor.nbytes for tensor in network.state_dict().values()]


def _averaged(spec: TrialSpec) -> list[str]:
    """Return the names of the networks that have a moving average."""
    names = []
    if spec.training.ema_decay:
        names += ["g_st", "g_ts"]
    if spec.training.classifier_ema_decay:
        names.append("f_t")
    return names


def _updated(spec: TrialSpec) -> list[str]:
    """Return the names of the networks that are updated: there are no moments of the others."""
    weights = spec.loss_weights
    names = ["f_t"]
    if any(getattr(weights, term) for term in terms_of("generators")):
        names += ["g_st", "g_ts"]
    if weights.adversarial:
        names += ["d_s", "d_t"]
    if spec.method == "cycada" and weights.feature:
        names.append("d_feat")
    return names
