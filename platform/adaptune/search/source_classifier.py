"""The source classifier f_S of a search: trained once, and cached by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import ray
from safetensors.torch import load_file, save_file
from torch import Tensor

from adaptune.cluster.tasks import ClusterTasks, task_device
from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData, content_hash
from adaptune.spec.schema import TrialSpec
from adaptune.training.source_classifier import train_supervised
from adaptune.training.state import StateDict


def source_classifier(
    spec: TrialSpec, data: TrialData, data_ref: ray.ObjectRef, tasks: ClusterTasks, cache: Path
) -> StateDict:
    """Return the weights of f_S, read from `cache` if the same data and settings trained it before.

    Args:
        spec: a trial of the search; all trials share what f_S depends on.
        data_ref: reference to `data` in Ray's object store.
        cache: folder of the cached weights.
    """
    file = cache / f"source-{_cache_key(spec, data)}.safetensors"
    if file.exists():
        return load_file(file)
    threads = tasks.cpus_per_task
    task = tasks.submit("source classifier", _train, spec, data_ref, threads, cpus=threads)
    [weights] = tasks.results([task])
    cache.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    save_file(weights, temporary)
    temporary.replace(file)
    return weights


def _cache_key(spec: TrialSpec, data: TrialData) -> str:
    settings = spec.model_dump_json(
        include={"seed": True, "model": {"classifier"}, "training": {"source", "augment"}}
    )
    arrays = content_hash(data.source_train_images, data.source_train_labels)
    text = f"{settings} {spec.training.lr_decay_from} {arrays}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _train(spec: TrialSpec, data: TrialData, threads: int) -> dict[str, Tensor]:
    device = task_device(threads)
    images = DeviceImages(data.source_train_images, data.source_train_labels, device)
    return train_supervised(spec, images, len(data.class_names))
