"""Updates on a GPU: time, pairs per second, busy share of the GPU, and memory.

    python benchmarks/gpu.py [--updates 50] [--rounds 5]

Three searches are measured: the default one, `mnist_usps.yaml`, and photographs of 256 px with
CycleGAN's generator of nine residual blocks. Their images are noise, which does not change the
speed. Each is trained as it is written, with compiled networks, with a CUDA graph, and as three
trials that share a GAN. The GPU is busy while it runs a kernel or a copy, as torch's profiler sees
it. If the share is small, the CPU limits the speed: it does not start kernels as fast as the GPU
runs them.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from rich.console import Console
from rich.table import Table
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from adaptune.spec import load_spec
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, set_backends
from adaptune.training.calibration_data import DataSizes, noise_data, one_update_per_epoch
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.state import build_group
from adaptune.training.steps.batch import TrainingImages

NO_GPU = (
    "there is no CUDA device: run this on a machine with an NVIDIA GPU and a torch that is built"
    " for CUDA. `adaptune doctor` tells what this machine lacks"
)
SIZES = DataSizes(classes=10, source_train=512, source_val=8, target_train=512, target_val=8)
PHOTOGRAPHS = (
    "data.source={domain: mnist5k, size: 256, channels: 3}",
    "data.target={domain: mnistm5k, size: 256, channels: 3}",
    "model.generator.blocks=9",
    "training.batch_size=4",
    "training.fourier_beta=0",
)
Interval = tuple[float, float]


@dataclass(frozen=True)
class Mode:
    """A way to train the trials of a search.

    Attributes:
        name: its name in the table.
        training: settings of `training` that it changes.
        trials: trials that share a GAN.
    """

    name: str
    training: Mapping[str, object] = field(default_factory=dict)
    trials: int = 1


MODES = (
    Mode("eager"),
    Mode("compiled", {"compile": True}),
    Mode("CUDA graph", {"cuda_graph": "on"}),
    Mode("3 trials per GAN", trials=3),
)


@dataclass(frozen=True)
class Result:
    """A measurement of one search in one mode.

    Attributes:
        update_s: seconds per update of all trials, the median over rounds.
        pairs_per_s: image pairs per second, counted for each trial.
        busy: share of the time in which the device computes or copies; 0 if the profiler sees
            nothing of the device.
        memory_bytes: largest memory that torch has reserved on the device.
    """

    update_s: float
    pairs_per_s: float
    busy: float
    memory_bytes: int


class Device(Protocol):
    """A device to measure.

    Attributes:
        torch_device: the device in torch.
        activity: what the profiler records of it.
        type: type of the events that the profiler then returns.
    """

    torch_device: torch.device
    activity: ProfilerActivity
    type: DeviceType

    def reset(self) -> None:
        """Free what earlier measurements have left."""

    def synchronize(self) -> None:
        """Wait until the device has done its work."""

    def peak_bytes(self) -> int:
        """Return the largest memory in use since `reset`."""


class Gpu:
    """The first CUDA device."""

    torch_device = torch.device("cuda", 0)
    activity = ProfilerActivity.CUDA
    type = DeviceType.CUDA

    def reset(self) -> None:
        """Free what earlier measurements have left."""
        torch.compiler.reset()
        gc.collect()  # compiled networks are in cycles of references
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.torch_device)

    def synchronize(self) -> None:
        """Wait until the GPU has done its work."""
        torch.cuda.synchronize(self.torch_device)

    def peak_bytes(self) -> int:
        """Return the largest memory that torch has reserved since `reset`."""
        return torch.cuda.max_memory_reserved(self.torch_device)


class Updates:
    """The updates of a trial, or of trials that share a GAN, on noise.

    Args:
        updates: updates per call of `train`.
    """

    def __init__(self, spec: TrialSpec, mode: Mode, device: torch.device, updates: int) -> None:
        changes = {"steps_per_epoch": updates, **mode.training}
        spec = one_update_per_epoch(spec, workers=1)
        spec = spec.model_copy(update={"training": spec.training.model_copy(update=changes)})
        set_backends(spec)
        data = noise_data(spec.data.source, SIZES)
        classifier = build_classifier(spec.model.classifier, spec.data.source, SIZES.classes)
        group = build_group([spec] * mode.trials, SIZES.classes, classifier.state_dict(), device)
        images = TrainingImages(data, device)
        images.predict(group[0].networks.f_s)
        self._members = [Member(state) for state in group]
        self._trainer = EpochTrainer(spec, images, None)
        self._epoch = 0

    def train(self) -> None:
        """Train the next updates."""
        self._epoch += 1
        self._trainer.train(self._epoch, self._members)


def measure(spec: TrialSpec, mode: Mode, device: Device, updates: int, rounds: int) -> Result:
    """Measure a search in a mode, after some updates to warm up.

    Raises:
        torch.OutOfMemoryError: the device has too little memory.
    """
    device.reset()
    trials = Updates(spec, mode, device.torch_device, updates)
    trials.train()
    seconds = [_seconds(trials, device) for _ in range(rounds)]
    update_s = statistics.median(seconds) / updates
    memory_bytes = device.peak_bytes()
    device.synchronize()
    with profile(activities=[device.activity], acc_events=True) as profiler:
        trials.train()
        device.synchronize()
    busy_s = covered(_intervals(profiler, device.type)) / 1e6 / updates
    pairs = mode.trials * spec.training.batch_size
    return Result(update_s, pairs / update_s, min(busy_s / update_s, 1.0), memory_bytes)


def _seconds(trials: Updates, device: Device) -> float:
    device.synchronize()
    start = time.perf_counter()
    trials.train()
    device.synchronize()
    return time.perf_counter() - start


def _intervals(profiler: profile, device_type: DeviceType) -> Iterable[Interval]:
    """Yield start and end, in µs, of everything that a device did."""
    for event in profiler.events() or ():
        if event.device_type == device_type and not event.is_user_annotation:
            yield event.time_range.start, event.time_range.end


def covered(intervals: Iterable[Interval]) -> float:
    """Return the length of the union of intervals."""
    length = 0.0
    last_end = float("-inf")
    for start, end in sorted(intervals):
        length += max(end - max(start, last_end), 0.0)
        last_end = max(last_end, end)
    return length


def searches() -> dict[str, TrialSpec]:
    """Return a trial of each search by the name of the search."""
    files = {
        "cycada.yaml": load_spec("cycada.yaml"),
        "mnist_usps.yaml": load_spec("mnist_usps.yaml"),
        "resnet, 9 blocks, 256 px": load_spec("imagefolder.yaml", PHOTOGRAPHS),
    }
    trials = {}
    for name, spec in files.items():
        values = {path: 0.5 for path in spec.space if path.startswith("loss_weights.")}
        trials[name] = spec.trial(values, seed=0)
    return trials


def make_table(
    trials: Mapping[str, TrialSpec],
    modes: Sequence[Mode],
    device: Device,
    updates: int,
    rounds: int,
) -> Table:
    """Measure each search in each mode, and return the table."""
    table = Table("search", "updates", "time", "× eager", "pairs per second", "busy", "memory")
    for name, spec in trials.items():
        training = spec.training
        title = f"{name}, {training.batch_size} pairs, {training.precision}"
        first_rate = None
        for mode in modes:
            try:
                result = measure(spec, mode, device, updates, rounds)
            except torch.OutOfMemoryError:
                table.add_row(title, mode.name, "out of memory")
                continue
            first_rate = first_rate or result.pairs_per_s
            table.add_row(title, mode.name, *_cells(result, first_rate))
        table.add_section()
    return table


def _cells(result: Result, first_rate: float) -> tuple[str, ...]:
    return (
        f"{1000 * result.update_s:.1f} ms",
        f"{result.pairs_per_s / first_rate:.2f}",
        f"{result.pairs_per_s:.0f}",
        f"{result.busy:.0%}" if result.busy else "unknown",
        f"{result.memory_bytes / 1e9:.1f} GB",
    )


def main() -> None:
    """Print the table, or refuse to run without a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=50, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error(NO_GPU)
    device = Gpu()
    name = torch.cuda.get_device_name(device.torch_device)
    table = make_table(searches(), MODES, device, arguments.updates, arguments.rounds)
    console = Console(highlight=False)
    console.print(f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    console.print(table)


if __name__ == "__main__":
    main()
