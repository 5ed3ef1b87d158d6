"""The baselines that a search is compared with, trained as Ray tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Literal, TypeVar

import numpy as np

from adaptune.cluster.placement import PlacementPlan
from adaptune.cluster.tasks import ClusterTask, task_device
from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED
from adaptune.data.residency import fits_on_device
from adaptune.data.splits import TrialData, WithheldData
from adaptune.errors import NodesLostError, TaskTimeoutError
from adaptune.evaluation.baseline_choice import (
    Baselines,
    SettingResult,
    best_settings,
    choose_baselines,
)
from adaptune.search.driver import SearchRun
from adaptune.signals import raise_if_stopped
from adaptune.spec.baselines import BaselineSetting, baseline_settings
from adaptune.spec.schema import TrialSpec
from adaptune.study.baseline_objectives import (
    F_S,
    known_baseline_objectives,
    store_baseline_objectives,
)
from adaptune.training.baselines import (
    Candidate,
    plain_source_candidate,
    source_candidate,
    train_on_target,
    train_without_gan,
)
from adaptune.training.record import ENSEMBLE
from adaptune.training.state import StateDict

log = logging.getLogger(__name__)
T = TypeVar("T")

# All settings without a GAN train for a part of the epochs, and the best ones for all.
_FIRST_PART = 0.25
_FINALISTS = 2


def train_baselines(run: SearchRun, spec: TrialSpec, wanted: Literal["auto"] | bool) -> Baselines:
    """Train the baselines side by side, and choose the best setting and epoch of each.

    The objective of the search chooses, as it does for trials.

    Args:
        spec: settings of the training.
        wanted: `evaluation.baselines`; `auto` trains the target-supervised one for built-in data
            only, whose target is labelled completely.
    """
    learns_colours = spec.training.source.fourier_beta > 0
    if not (wanted or learns_colours or spec.training.adapt_batch_norm):
        return Baselines()
    metric = run.spec.search.metric
    source = _submit(run, "scores of f_S", _score_f_s, spec, metric)
    source_only = None
    if learns_colours:
        source_only = _submit(run, "baseline source_only", _train_source_only, spec, metric)
    upper_bound = None
    if wanted and _has_upper_bound(run, wanted):
        name = "baseline target_supervised"
        upper_bound = _submit(run, name, _train_on_target, spec, run.splits.withheld, metric)
    results = _train_settings(run, spec, metric) if wanted else []
    [f_s] = run.tasks.results([source])
    plain = f_s if spec.training.adapt_batch_norm else None
    if source_only is not None:
        [plain] = run.tasks.results([source_only])
    on_target = None
    if upper_bound is not None:
        [on_target] = run.tasks.results([upper_bound])
    return choose_baselines(spec, f_s, results, on_target, metric, plain)


def note_f_s(run: SearchRun) -> None:
    """Store the objective of f_S, which running trials are compared with.

    A search does without it if f_S cannot be scored.

    Raises:
        NodesLostError: the cluster had no room for too long.
    """
    spec = run.spec.trial({}, seed=run.spec.seed)
    source_classifier = run.inputs.source_classifier
    metric = run.spec.search.metric
    baseline = F_S if spec.training.source.fourier_beta else "source_only"
    if metric == ENSEMBLE:  # ranks epochs of trials
        return
    if baseline in known_baseline_objectives(run.study, source_classifier):
        return
    try:
        task = _submit(run, "scores of f_S", _score_f_s, spec, metric)
        [f_s] = run.tasks.results([task])
    except TaskTimeoutError as error:
        log.warning("f_S was not scored: %s", error)
    except NodesLostError:
        raise
    except Exception:
        raise_if_stopped()  # a signal may have killed the task
        log.exception("f_S was not scored")
    else:
        value = f_s.record.score(metric)[0]
        store_baseline_objectives(run.study, {baseline: value}, source_classifier)


def baseline_stages(settings: int, epochs: int) -> list[tuple[int, int]]:
    """Return the number of settings without a GAN that are trained together, and for how long.

    All are trained for the first part of the epochs. The best of them are then trained from the
    start again, for all epochs.

    Args:
        settings: number of settings.
        epochs: epochs of a whole trial.

    Returns:
        A number of settings and a number of epochs for each of the stages.
    """
    first = ceil(_FIRST_PART * epochs)
    if settings <= _FINALISTS or first == epochs:
        return [(settings, epochs)]
    return [(settings, first), (_FINALISTS, epochs)]


def task_shape(plan: PlacementPlan) -> tuple[int, int]:
    """Return the number of tasks that train baselines side by side, and the CPUs of each.

    Small classifiers use one thread better than two: on a machine that trains one trial at a time,
    two tasks divide its CPUs.
    """
    resources = plan.resources
    slots = plan.max_concurrent_trials * resources.workers
    cpus = resources.cpus_per_worker
    if slots == 1 and cpus > 1 and not resources.gpus_per_worker:
        return 2, cpus // 2
    return slots, cpus


def _submit(
    run: SearchRun, name: str, function: Callable[..., T], *arguments: object
) -> ClusterTask[T]:
    """Submit a function of the data, the weights of f_S, a number of threads and arguments."""
    _, cpus = task_shape(run.plan)
    shared = run.shared
    return run.tasks.submit(
        name, function, shared.data, shared.source_weights, cpus, *arguments, cpus=cpus
    )


def _train_settings(run: SearchRun, spec: TrialSpec, metric: str) -> list[SettingResult]:
    """Train all settings without a GAN in stages, see `baseline_stages`.

    A setting of the last stage is trained from the start again, so that the number of tasks changes
    no result.
    """
    settings = baseline_settings(spec)
    (_, first_epochs), *last = baseline_stages(len(settings), spec.training.epochs)
    results = _train_side_by_side(run, spec, settings, metric, first_epochs)
    for count, epochs in last:
        finalists = best_settings(results, metric, count)
        for final in _train_side_by_side(run, spec, finalists, metric, epochs):
            number = settings.index(final.setting)
            results[number] = replace(final, epochs=results[number].epochs + epochs)
    return results


def _train_side_by_side(
    run: SearchRun,
    spec: TrialSpec,
    settings: Sequence[BaselineSetting],
    metric: str,
    epochs: int,
) -> list[SettingResult]:
    """Train settings without a GAN, divided among tasks; the results have their order."""
    slots, _ = task_shape(run.plan)
    count = min(slots, len(settings))
    tasks = []
    for first in range(count):
        name = f"baselines without a GAN, {epochs} epochs, {first + 1} of {count}"
        part = settings[first::count]
        tasks.append(_submit(run, name, _train_without_gan, spec, part, metric, epochs))
    results: dict[int, SettingResult] = {}
    for first, part_results in enumerate(run.tasks.results(tasks)):
        for place, result in enumerate(part_results):
            results[first + place * count] = result
    return [results[number] for number in sorted(results)]


def _has_upper_bound(run: SearchRun, wanted: Literal["auto", True]) -> bool:
    """Return whether the target-supervised baseline is wanted, and has images to learn from."""
    if wanted == "auto" and ":" in run.spec.data.target.domain:
        return False
    if (run.splits.withheld.target_train_labels != UNLABELLED).any():
        return True
    run.console.print(
        "target supervised is left out: all labelled target images are in target_val and"
        " target_test",
        style="yellow",
    )
    return False


def _score_f_s(
    data: TrialData, source_weights: StateDict, threads: int, spec: TrialSpec, metric: str
) -> Candidate:
    device = task_device(spec, threads)
    return source_candidate(spec, data, source_weights, device=device, metric=metric)


def _train_source_only(
    data: TrialData, source_weights: StateDict, threads: int, spec: TrialSpec, metric: str
) -> Candidate:
    device = task_device(spec, threads)
    is_resident = fits_on_device(data.nbytes, device, spec.data.resident_gb)
    return plain_source_candidate(spec, data, device=device, metric=metric, is_resident=is_resident)


def _train_without_gan(
    data: TrialData,
    source_weights: StateDict,
    threads: int,
    spec: TrialSpec,
    settings: Sequence[BaselineSetting],
    metric: str,
    epochs: int,
) -> list[SettingResult]:
    """Train settings side by side in this process."""
    device = task_device(spec, threads)
    is_resident = fits_on_device(data.nbytes, device, spec.data.resident_gb)
    candidates = train_without_gan(
        [setting.trial(spec) for setting in settings],
        data,
        source_weights,
        device=device,
        metric=metric,
        epochs=epochs,
        is_resident=is_resident,
    )
    pairs = zip(settings, candidates, strict=True)
    return [SettingResult(setting, candidate, epochs) for setting, candidate in pairs]


def _train_on_target(
    data: TrialData,
    source_weights: StateDict,
    threads: int,
    spec: TrialSpec,
    withheld: WithheldData,
    metric: str,
) -> Candidate | None:
    labelled = np.flatnonzero(withheld.target_train_labels != UNLABELLED)
    device = task_device(spec, threads)
    images = DeviceImages(
        withheld.target_train_images.subset(labelled),
        withheld.target_train_labels[labelled],
        device,
        is_resident=fits_on_device(withheld.nbytes, device, spec.data.resident_gb),
    )
    return train_on_target(spec, images, data, metric=metric)
