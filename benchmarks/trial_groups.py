"""Speed of a trial group relative to the same trials one after another.

    python benchmarks/trial_groups.py [--sizes 2 4 8] [--rounds 3]

A group trains its generators and image discriminators once per update, and the classifiers of all
its trials. Whole epochs are timed, with evaluation, health check and checkpoint, for handwritten
digits and for photographs of 64 px (resnet generator, resnet18). Single trials and groups take
turns, so that other work on the machine slows both. The limit is that of a group of infinitely many
trials: the seconds of one trial, divided by those that each further trial of a group adds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table

from adaptune.data.splits import TrialData, load_splits
from adaptune.spec import SearchSpec, load_spec
from adaptune.training.build import build_classifier
from adaptune.training.calibration_data import DataSizes, noise_data
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.group import GroupTrial
from adaptune.training.loop import fit_group
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import TrainingImages

PHOTOGRAPHS = [
    "data.source={domain: mnist5k, size: 64, channels: 3}",
    "data.target={domain: optdigits, size: 64, channels: 3}",
    "model.generator={name: resnet, width: 32, blocks: 6}",
    "model.discriminator={width: 32, layers: 3}",
    "model.classifier={name: resnet18}",
    "training.batch_size=8",
    "training.steps_per_epoch=4",
]
IMAGES = DataSizes(classes=10, source_train=64, source_val=32, target_train=64, target_val=32)


@dataclass(frozen=True)
class Workload:
    """A trial with its data and f_S."""

    spec: SearchSpec
    data: TrialData
    source_weights: StateDict
    images: TrainingImages


def digits() -> Workload:
    """Return a trial of the search on handwritten digits."""
    spec = load_spec("mnist_optdigits.yaml")
    return _workload(spec, load_splits(spec.data, spec.seed).trial)


def photographs() -> Workload:
    """Return a trial on noise in the form of photographs."""
    spec = load_spec("mnist_optdigits.yaml", PHOTOGRAPHS)
    return _workload(spec, noise_data(spec.data.source, IMAGES))


def _workload(spec: SearchSpec, data: TrialData) -> Workload:
    f_s = build_classifier(spec.model.classifier, spec.data.source, len(data.class_names))
    images = TrainingImages(data, _device())
    images.predict(f_s.to(_device()))
    return Workload(spec, data, f_s.state_dict(), images)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class EpochTimer:
    """Times the epochs of a group of trials of a workload, one by one."""

    def __init__(self, workload: Workload, size: int, folder: str) -> None:
        checkpoints = [CheckpointFolder(folder, identity=str(number)) for number in range(size)]
        trials = {}
        for number in range(size):
            values = {"loss_weights.information": number / size}
            spec = workload.spec.trial(values, seed=0)
            trials[number] = GroupTrial(spec, checkpoints[number])
        self._epochs = fit_group(
            trials,
            workload.data,
            workload.source_weights,
            device=_device(),
            images=workload.images,
            health=True,
        )
        next(self._epochs)  # the first one is slower

    def seconds(self) -> float:
        """Train an epoch and return its seconds."""
        start = time.perf_counter()
        next(self._epochs)
        return time.perf_counter() - start


def measure(workload: Workload, sizes: Sequence[int], rounds: int, folder: str) -> Table:
    """Return the table of a workload."""
    timers = {size: EpochTimer(workload, size, f"{folder}/{size}") for size in (1, *sizes)}
    seconds: dict[int, list[float]] = {size: [] for size in timers}
    for _ in range(rounds):
        for size, timer in timers.items():
            seconds[size].append(timer.seconds())
    medians = {size: statistics.median(values) for size, values in seconds.items()}
    table = Table("trials", "epoch", "trials per second, relative to one")
    for size, epoch_s in medians.items():
        table.add_row(str(size), f"{epoch_s:.2f} s", f"{size * medians[1] / epoch_s:.2f}")
    largest = max(sizes)
    added_s = (medians[largest] - medians[1]) / (largest - 1)
    table.add_row("limit", "", f"{medians[1] / added_s:.2f}")
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    console = Console(highlight=False)
    for name, workload in (("handwritten digits", digits), ("photographs of 64 px", photographs)):
        with tempfile.TemporaryDirectory() as folder:
            table = measure(workload(), arguments.sizes, arguments.rounds, folder)
        console.print(f"{name}, {_device()}, {torch.get_num_threads()} thread(s)")
        console.print(table)


if __name__ == "__main__":
    main()
