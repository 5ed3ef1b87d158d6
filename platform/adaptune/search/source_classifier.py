"""What runs once a search beside its trials: the source stage and the yardsticks, as Ray tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import torch
from safetensors.torch import load_file, save_file

from adaptune.cluster.placement import PlacementPlan
from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData, WithheldData, content_hash
from adaptune.evaluation.test_scores import Baselines
from adaptune.spec.schema import TrialSpec
from adaptune.training.source_classifier import State, adapt_without_gan, train_supervised

Results = Callable[[list[Any]], list[State]]  # from references


def train_source_classifier(
    spec: TrialSpec,
    data: TrialData,
    data_ref: Any,
    plan: PlacementPlan,
    cache: Path,
    results: Results,
) -> State:
    """f_S, trained on the source; read from `cache` where the same data and settings trained it before.

    Args:
        results: waits for those of tasks.
    """
    settings = spec.model_dump_json(
        include={"seed": True, "model": {"classifier"}, "training": {"source", "augment"}}
    )
    arrays = content_hash(data.source_train_images, data.source_train_labels)
    key = hashlib.sha256(f"{settings} {spec.training.lr_decay_from} {arrays}".encode()).hexdigest()
    file = cache / f"source-{key[:16]}.safetensors"
    if file.exists():
        return load_file(file)
    task = ray.remote(_train_source).options(
        name="source stage", **_resources(plan, plan.task_cpus)
    )
    [state] = results([task.remote(spec, data_ref, plan.task_cpus)])
    cache.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".part")
    save_file(state, draft)
    draft.replace(file)
    return state


def yardsticks(
    spec: TrialSpec,
    shared: list[Any],
    sealed: WithheldData | None,
    plan: PlacementPlan,
    results: Results,
) -> Baselines:
    """The weights of all rivals, trained side by side; of the target-supervised one where `sealed` is given.

    Args:
        shared: object references to the TrialData and to the weights of f_S.
        results: waits for those of tasks.
    """
    share = _resources(plan, plan.cpus_per_worker)
    without_gan = ray.remote(_adapt_without_gan)
    tasks = {
        name: without_gan.options(name=f"yardstick {name}", **share).remote(
            spec, *shared, task, plan.cpus_per_worker
        )
        for name, task in (("information_only", False), ("no_gan", True))
    }
    if sealed is not None:
        supervised = ray.remote(_train_target).options(name="yardstick supervised", **share)
        classes = len(ray.get(shared[0]).class_names)
        tasks["supervised"] = supervised.remote(spec, sealed, classes, plan.cpus_per_worker)
    return Baselines(**dict(zip(tasks, results(list(tasks.values())), strict=True)))


def _train_source(spec: TrialSpec, data: TrialData, threads: int) -> State:
    images = DeviceImages(data.source_train_images, data.source_train_labels, _device(threads))
    return train_supervised(spec, images, len(data.class_names))


def _train_target(spec: TrialSpec, sealed: WithheldData, classes: int, threads: int) -> State:
    labelled = sealed.target_train_labels >= 0
    images = DeviceImages(
        sealed.target_train_images[labelled], sealed.target_train_labels[labelled], _device(threads)
    )
    return train_supervised(spec, images, classes, "target-supervised")


def _adapt_without_gan(
    spec: TrialSpec, data: TrialData, f_source: State, task: bool, threads: int
) -> State:
    device = _device(threads)
    source = DeviceImages(data.source_train_images, data.source_train_labels, device)
    target = DeviceImages(data.target_train_images, None, device)
    return adapt_without_gan(spec, source, target, f_source, len(data.class_names), task=task)


def _resources(plan: PlacementPlan, cpus: int) -> dict[str, Any]:
    return {
        "num_cpus": cpus,
        "num_gpus": plan.gpus_per_worker,
        "accelerator_type": plan.accelerator_type,
        "label_selector": plan.label_selector,
    }


def _device(threads: int) -> torch.device:
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
