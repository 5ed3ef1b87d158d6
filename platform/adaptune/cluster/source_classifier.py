"""The source classifier f_S of a search: trained once, kept with it, and cached by content."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import ray
import torch
from torch import Tensor

from adaptune.cluster.tasks import ClusterTasks, task_device
from adaptune.data.residency import fits_on_device
from adaptune.data.splits import TrialData, content_hash
from adaptune.files import remove_drafts
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.pretrained import pretrained_identity
from adaptune.training.source_classifier import train_source_classifier
from adaptune.training.weights_file import read_weights, write_weights
from adaptune.version import __version__

log = logging.getLogger(__name__)
_CACHE_FORMAT = 3
_DRAFT_MAX_AGE_S = 86_400.0  # younger ones may be those of other searches


def source_classifier(
    spec: TrialSpec,
    data: TrialData,
    data_ref: ray.ObjectRef,
    tasks: ClusterTasks,
    *,
    file: Path,
    cache: Path,
) -> dict[str, Tensor]:
    """Return the weights of f_S, and keep them in `file`.

    They come from `file`, so that a resumed search uses the same weights, or from the cache that it
    shares with other searches. Otherwise f_S is trained. A damaged file is replaced.

    Args:
        spec: a trial of the search; all trials share what f_S depends on.
        data_ref: reference to `data` in Ray's object store.
        file: the weights that belong to the search.
        cache: folder of the weights of all searches.

    Raises:
        OSError: the weights cannot be written to `file`.
    """
    with torch.device("meta"):
        network = build_classifier(spec.model.classifier, spec.data.source, len(data.class_names))
    weights = read_weights(file, network)
    if weights is not None:
        return weights
    cached = _cached_file(spec, data, cache)
    weights = read_weights(cached, network)
    if weights is None:
        threads = tasks.cpus_per_task
        task = tasks.submit("source classifier", _train, spec, data_ref, threads, cpus=threads)
        [weights] = tasks.results([task])
        _write_to_cache(cached, weights)
    write_weights(file, weights)
    return weights


def is_trained(spec: TrialSpec, data: TrialData, *, file: Path, cache: Path) -> bool:
    """Return whether `source_classifier` finds a file of f_S; it may turn out to be damaged."""
    return file.exists() or _cached_file(spec, data, cache).exists()


def _cached_file(spec: TrialSpec, data: TrialData, cache: Path) -> Path:
    return cache / f"source-{_cache_key(spec, data)}.safetensors"


def _write_to_cache(file: Path, weights: dict[str, Tensor]) -> None:
    remove_drafts(file.parent, min_age_s=_DRAFT_MAX_AGE_S)
    try:
        write_weights(file, weights)
    except OSError as error:
        log.warning("f_S not written to the cache: %s", error)


def _cache_key(spec: TrialSpec, data: TrialData) -> str:
    used = {
        "source",
        "source_sampling",
        "augment",
        "lr_decay_from",
        "classifier_schedule",
        "backbone_lr_factor",
    }
    settings = spec.model_dump_json(
        include={"seed": True, "model": {"classifier"}, "training": used},
        # The content of the file stands for its place.
        exclude={"model": {"classifier": {"weights", "weights_sha256"}}},
    )
    weights = pretrained_identity(spec.model.classifier)
    arrays = content_hash(data.source_train_images.pixel_digests(), data.source_train_labels)
    if spec.training.source.fourier_beta:
        arrays += f" {content_hash(data.target_train_images.pixel_digests())}"
    versions = f"{_CACHE_FORMAT} {__version__} {torch.__version__}"
    text = f"{versions} {settings} {weights} {arrays}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _train(spec: TrialSpec, data: TrialData, threads: int) -> dict[str, Tensor]:
    device = task_device(spec, threads)
    is_resident = fits_on_device(data.nbytes, device, spec.data.resident_gb)
    return train_source_classifier(spec, data, device, is_resident=is_resident)
