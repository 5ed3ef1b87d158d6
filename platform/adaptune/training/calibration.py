"""Durations and memory of a trial, measured by a few updates on the real device.

All images are noise: neither depends on their content. Nothing that a search computes changes.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch

from adaptune.data.device_images import DeviceImages
from adaptune.data.memory import available_memory_bytes, peak_memory_bytes
from adaptune.data.residency import fits_on_device
from adaptune.models.classifiers import Classifier
from adaptune.seeding import derive_seed
from adaptune.spec.baselines import baseline_settings
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, set_backends
from adaptune.training.calibration_data import (
    DataSizes,
    noise_data,
    noise_outputs,
    one_update_per_epoch,
)
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint, Snapshot
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.health import HealthProbe
from adaptune.training.record import EpochRecord
from adaptune.training.sample_grid import sample_grid
from adaptune.training.source_classifier import train_supervised
from adaptune.training.state import build_group
from adaptune.training.steps.batch import TrainingImages, predict_labels
from adaptune.training.validation import predict_all
from adaptune.training.validators import score_all

Clock = Callable[[], float]

MIN_UPDATES = 3
UPDATES_S = 0.75  # seconds of timed updates; slow ones may take four times as long
VALIDATOR_SAMPLES = 1000  # of the larger set; beyond, the time is extrapolated
# What takes less is measured a second time: the first one also imports libraries.
_SHORT_S = 3.0
_CUDA_CONTEXT_BYTES = 500_000_000  # memory of a process on a GPU that PyTorch does not count


@dataclass(frozen=True)
class Calibration:
    """Durations in seconds and memory in bytes of a worker.

    Attributes:
        step_s: one update of a trial, or of all trials that share a GAN.
        evaluation_s: the evaluation after an epoch.
        checkpoint_s: the checkpoint and the sample grid after an epoch, on a local disk.
        labels_s: the prediction of f_S's labels, once per worker; 0 without a semantic term.
        source_step_s: one update of f_S.
        baseline_step_s: one update of a setting of the baselines without a GAN.
        memory_bytes: largest memory: of the GPU, with the images that stay there; without a GPU,
            of the process.
        available_bytes: memory of the GPU, or that all workers on this node share.
        is_on_gpu: whether the memory is that of a GPU.
        wall_s: duration of the calibration.
    """

    step_s: float
    evaluation_s: float
    checkpoint_s: float
    labels_s: float
    source_step_s: float
    baseline_step_s: float
    memory_bytes: int
    available_bytes: int
    is_on_gpu: bool
    wall_s: float


def calibrate(
    spec: TrialSpec,
    sizes: DataSizes,
    device: torch.device,
    *,
    workers: int = 1,
    trials: int = 1,
    device_share: float = 1.0,
    clock: Clock = time.perf_counter,
) -> Calibration:
    """Measure a trial, or trials that share a GAN, as one of their workers runs them.

    The communication between the workers of a trial is not part of it.

    Args:
        workers: workers per trial, which share each batch.
        trials: trials that share a GAN.
        device_share: part of the device that a worker may use, in (0, 1].
        clock: monotonic clock in seconds.

    Raises:
        torch.OutOfMemoryError, RuntimeError, MemoryError: there is too little memory for a trial.
    """
    start = clock()
    available = available_memory_bytes()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        _, available = torch.cuda.mem_get_info(device)
    with _without_trace(spec, device):
        measurement = _Measurement(spec, sizes, device, clock, workers=workers, trials=trials)
        evaluation_s = measurement.evaluation_s()
        return Calibration(
            step_s=measurement.step_s(),
            evaluation_s=evaluation_s,
            checkpoint_s=measurement.checkpoint_s(),
            labels_s=measurement.labels_s() if spec.has_semantic_term else 0.0,
            source_step_s=measurement.source_step_s(),
            baseline_step_s=measurement.baseline_step_s(),
            memory_bytes=_memory_bytes(spec, sizes, device, device_share),
            available_bytes=available,
            is_on_gpu=device.type == "cuda",
            wall_s=clock() - start,
        )


class _Measurement:
    """The networks and images of the trials of a group, before their first update."""

    def __init__(
        self,
        spec: TrialSpec,
        sizes: DataSizes,
        device: torch.device,
        clock: Clock,
        *,
        workers: int,
        trials: int,
    ) -> None:
        self._spec = spec
        self._sizes = sizes
        self._workers = workers
        self._device = device
        self._clock = clock
        labelled = spec.data.target.train_labels * sizes.classes
        self._data = noise_data(spec.data.source, sizes, labelled)
        torch.manual_seed(derive_seed(spec.seed, "calibration"))
        classifier = build_classifier(spec.model.classifier, spec.data.source, sizes.classes)
        self._source_weights = classifier.state_dict()
        group = [one_update_per_epoch(spec, workers)] * trials
        self._group = build_group(group, sizes.classes, self._source_weights, device)
        self._state = self._group[0]
        self._images = TrainingImages(self._data, device)
        if spec.has_semantic_term:
            self._images.predict(self._state.networks.f_s)

    def step_s(self) -> float:
        """Return the seconds of an update of all trials, after a first one."""
        trainer = EpochTrainer(self._state.spec, self._images, None)
        trials = [Member(state) for state in self._group]
        trainer.train(1, trials)
        start = self._now()
        updates = 0
        elapsed_s = 0.0
        while elapsed_s < UPDATES_S or (updates < MIN_UPDATES and elapsed_s < 4 * UPDATES_S):
            trainer.train(updates + 2, trials)
            updates += 1
            elapsed_s = self._now() - start
        return elapsed_s / updates

    def evaluation_s(self) -> float:
        """Return the seconds of predictions, validators and health probe after an epoch."""
        images = DeviceImages(self._data.source_val_images, None, self._device)
        f_t = cast(Classifier, self._state.eval_network("f_t"))
        features = predict_all(f_t, images).features.shape[1]
        predict_s = self._settled_s(lambda: predict_all(f_t, images))
        predictions_s = predict_s / len(images) * self._sizes.val / self._workers
        probe = HealthProbe(self._data, self._device, self._spec.training)
        g_st, f_s = self._state.eval_network("g_st"), self._state.networks.f_s
        probe_s = self._settled_s(lambda: probe.report(g_st, f_s))
        return len(self._group) * (predictions_s + self._validators_s(features)) + probe_s

    def _validators_s(self, features: int) -> float:
        """Return the seconds of the validators, which grow faster than linearly."""
        sizes = self._sizes
        score_all(noise_outputs(sizes, features, limit=10))  # imports their libraries

        def duration_s(limit: int) -> float:
            inputs = noise_outputs(sizes, features, limit)
            return self._settled_s(lambda: score_all(replace(inputs)))  # a copy caches nothing

        full_s = duration_s(VALIDATOR_SAMPLES)
        samples = max(sizes.source_val, sizes.target_val)
        if samples <= VALIDATOR_SAMPLES:
            return full_s
        growth = full_s / max(duration_s(VALIDATOR_SAMPLES // 2), 1e-6)
        exponent = min(max(math.log2(max(growth, 1.0)), 1.0), 2.0)
        return float(full_s * (samples / VALIDATOR_SAMPLES) ** exponent)

    def checkpoint_s(self) -> float:
        """Return the seconds in which a checkpoint and a sample grid are written."""
        record = EpochRecord(epoch=1, train_s=0.0, eval_s=0.0, source_val_accuracy=0.0)
        with tempfile.TemporaryDirectory(prefix="adaptune-calibration-") as path:
            folder = CheckpointFolder(path)
            start = self._now()
            folder.save([Snapshot("", state, ResumePoint(record)) for state in self._group])
            folder.save_sample_grid(1, sample_grid(self._state, self._images))
            return self._now() - start

    def labels_s(self) -> float:
        """Return the seconds in which f_S predicts the labels of all training images."""
        source = self._images.source
        predict_s = self._settled_s(lambda: predict_labels(self._state.networks.f_s, source))
        return predict_s / len(source) * self._sizes.train

    def source_step_s(self) -> float:
        """Return the seconds of an update of f_S."""

        def train(updates: int) -> object:
            stage = self._spec.training.source.model_copy(update={"steps": updates})
            training = self._spec.training.model_copy(update={"source": stage})
            spec = self._spec.model_copy(update={"training": training})
            images = self._images.source
            return train_supervised(spec, images, self._sizes.classes, load_pretrained=False)

        return self._update_s(train)

    def baseline_step_s(self) -> float:
        """Return the seconds of an update of a setting without a GAN, the mean over settings."""
        spec = one_update_per_epoch(self._spec, workers=1)
        trials = [setting.trial(spec) for setting in baseline_settings(spec)]
        return sum(self._alone_s(trial) for trial in trials) / len(trials)

    def _alone_s(self, spec: TrialSpec) -> float:
        """Return the seconds of an update of one trial that trains no generator."""
        [state] = build_group([spec], self._sizes.classes, self._source_weights, self._device)
        trainer = EpochTrainer(spec, self._images, None)
        trial = Member(state)
        trainer.train(1, [trial])
        start = self._now()
        trainer.train(1 + MIN_UPDATES, [trial])
        return (self._now() - start) / MIN_UPDATES

    def _update_s(self, train: Callable[[int], object]) -> float:
        """Return the seconds of an update of a function that trains so many.

        The function also builds the network, which takes as long for any number of updates.
        """
        first_s = self._duration_s(lambda: train(1))
        if first_s > _SHORT_S:
            return first_s
        updates = 2 * MIN_UPDATES
        all_s = self._duration_s(lambda: train(1 + updates))
        return max(all_s - self._duration_s(lambda: train(1)), 0.0) / updates

    def _settled_s(self, function: Callable[[], object]) -> float:
        first_s = self._duration_s(function)
        return first_s if first_s > _SHORT_S else self._duration_s(function)

    def _duration_s(self, function: Callable[[], object]) -> float:
        start = self._now()
        function()
        return self._now() - start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._clock()


def _memory_bytes(
    spec: TrialSpec, sizes: DataSizes, device: torch.device, device_share: float
) -> int:
    if device.type != "cuda":
        return peak_memory_bytes()
    form = spec.data.source
    on_device = (sizes.train + sizes.val) * form.channels * form.size**2
    if not fits_on_device(on_device, device, spec.data.resident_gb, device_share):
        on_device = 0
    return torch.cuda.max_memory_reserved(device) + on_device + _CUDA_CONTEXT_BYTES


@contextmanager
def _without_trace(spec: TrialSpec, device: torch.device) -> Iterator[None]:
    """Keep global random numbers, settings and memory as they are."""
    matmul = torch.backends.cuda.matmul
    cudnn = torch.backends.cudnn
    settings = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            set_backends(spec)
            yield
        finally:
            matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = settings
            if device.type == "cuda":
                torch.cuda.empty_cache()
