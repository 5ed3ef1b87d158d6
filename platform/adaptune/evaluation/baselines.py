"""The baselines that a search is compared with, trained as Ray tasks."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from adaptune.cluster.tasks import ClusterTask, task_device
from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED
from adaptune.data.residency import fits_on_device
from adaptune.data.splits import TrialData, WithheldData
from adaptune.evaluation.test_scores import Baselines
from adaptune.search.driver import SearchRun
from adaptune.spec.schema import TrialSpec
from adaptune.training.baselines import adapt_without_gan
from adaptune.training.batch_norm import adapted_weights
from adaptune.training.source_classifier import train_supervised
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import labelled_target


def train_baselines(run: SearchRun, spec: TrialSpec, wanted: Literal["auto"] | bool) -> Baselines:
    """Train the baselines side by side.

    Args:
        spec: settings of the training.
        wanted: `evaluation.baselines`; `auto` trains the target-supervised one for built-in data
            only, whose target is labelled completely.
    """
    cpus = run.plan.resources.cpus_per_worker
    shared = run.shared
    tasks: dict[str, ClusterTask[dict[str, torch.Tensor]]] = {}
    if wanted:
        tasks = _submit_training(run, spec, wanted)
    if spec.training.adapt_batch_norm:
        tasks["source_only"] = run.tasks.submit(
            "baseline source_only",
            _adapt_source_only,
            spec,
            shared.data,
            shared.source_weights,
            cpus,
            cpus=cpus,
        )
    weights = run.tasks.results(list(tasks.values()))
    return Baselines(**dict(zip(tasks, weights, strict=True)))


def _submit_training(
    run: SearchRun, spec: TrialSpec, wanted: Literal["auto", True]
) -> dict[str, ClusterTask[dict[str, torch.Tensor]]]:
    """Submit a task per baseline that is trained."""
    cpus = run.plan.resources.cpus_per_worker
    shared = run.shared
    tasks: dict[str, ClusterTask[dict[str, torch.Tensor]]] = {}
    for name, with_task_term in (("information_only", False), ("no_gan", True)):
        tasks[name] = run.tasks.submit(
            f"baseline {name}",
            _adapt_without_gan,
            spec,
            shared.data,
            shared.source_weights,
            with_task_term,
            cpus,
            cpus=cpus,
        )
    is_wanted = wanted is True or ":" not in run.spec.data.target.domain
    if is_wanted and not (run.splits.withheld.target_train_labels != UNLABELLED).any():
        run.console.print(
            "target supervised is left out: all labelled target images are in target_val and"
            " target_test",
            style="yellow",
        )
        is_wanted = False
    if is_wanted:
        classes = len(run.splits.trial.class_names)
        tasks["target_supervised"] = run.tasks.submit(
            "baseline target_supervised",
            _train_on_target,
            spec,
            run.splits.withheld,
            classes,
            cpus,
            cpus=cpus,
        )
    return tasks


def _adapt_source_only(
    spec: TrialSpec, data: TrialData, source_weights: StateDict, threads: int
) -> dict[str, torch.Tensor]:
    device = task_device(spec, threads)
    target = DeviceImages(data.target_train_images, None, device, is_resident=False)
    return adapted_weights(spec, source_weights, target, len(data.class_names))


def _train_on_target(
    spec: TrialSpec, withheld: WithheldData, classes: int, threads: int
) -> dict[str, torch.Tensor]:
    labelled = np.flatnonzero(withheld.target_train_labels != UNLABELLED)
    device = task_device(spec, threads)
    images = DeviceImages(
        withheld.target_train_images.subset(labelled),
        withheld.target_train_labels[labelled],
        device,
        is_resident=fits_on_device(withheld.nbytes, device, spec.data.resident_gb),
    )
    weights = train_supervised(spec, images, classes, "target-supervised")
    if not spec.training.adapt_batch_norm:
        return weights
    target = DeviceImages(withheld.target_train_images, None, device, is_resident=False)
    return adapted_weights(spec, weights, target, classes)


def _adapt_without_gan(
    spec: TrialSpec,
    data: TrialData,
    source_weights: StateDict,
    with_task_term: bool,
    threads: int,
) -> dict[str, torch.Tensor]:
    device = task_device(spec, threads)
    is_resident = fits_on_device(data.nbytes, device, spec.data.resident_gb)
    source = DeviceImages(
        data.source_train_images, data.source_train_labels, device, is_resident=is_resident
    )
    target = DeviceImages(data.target_train_images, None, device, is_resident=is_resident)
    return adapt_without_gan(
        spec,
        source,
        target,
        source_weights,
        len(data.class_names),
        task=with_task_term,
        labelled_target=labelled_target(data, device, is_resident=is_resident),
    )
