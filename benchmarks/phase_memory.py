"""Peak memory of each phase of a trial.

    python benchmarks/phase_memory.py [--sizes 32 64 128 256] [--batch-size 4]

The phases are an update, the scoring of source_val and target_val, the health check, the sample
grid, the labels that f_S predicts, and the validators. Each runs in a process of its own, and its
peak memory beyond that of networks and data is printed, in MB. No phase should need more than the
update. On a GPU, it is the memory that torch allocates.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import cast

import torch

from adaptune.models.classifiers import Classifier
from adaptune.spec import SearchSpec, load_spec
from adaptune.training.build import build_classifier
from adaptune.training.calibration_data import DataSizes, noise_data, noise_outputs
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.health import HealthProbe
from adaptune.training.sample_grid import sample_grid
from adaptune.training.state import build_state
from adaptune.training.steps.batch import TrainingImages, predict_labels
from adaptune.training.validation import predict_all
from adaptune.training.validators import score_all

PHASES = ("update", "scoring", "health", "grid", "labels", "validators")
IMAGES = DataSizes(classes=10, source_train=600, source_val=600, target_train=600, target_val=600)
VALIDATED = DataSizes(classes=10, source_train=0, source_val=5000, target_train=0, target_val=20000)
_FEATURES = 512
_MB = 1024**2


def make_spec(size: int, batch_size: int) -> SearchSpec:
    """Return a search on photographs with CycleGAN's generator."""
    blocks = 9 if size > 128 else 6
    overrides = [
        f"data.source.size={size}",
        f"data.target.size={size}",
        "data.source.channels=3",
        "data.target.channels=3",
        "data.source.crop=null",
        "data.target.crop=null",
        f"model.generator={{name: resnet, width: 64, blocks: {blocks}}}",
        "model.discriminator={width: 64, layers: 3}",
        "model.classifier={name: resnet18}",
        f"training.batch_size={batch_size}",
        "training.steps_per_epoch=1",
    ]
    return load_spec("mnist_optdigits.yaml", overrides)


def measure(phase: str, size: int, batch_size: int) -> float:
    """Return the peak memory in MB of a phase, beyond that of networks and data."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    spec = make_spec(size, batch_size).trial({}, seed=0)
    data = noise_data(spec.data.source, IMAGES)
    f_s = build_classifier(spec.model.classifier, spec.data.source, IMAGES.classes)
    state = build_state(spec, IMAGES.classes, f_s.state_dict(), device)
    f_t = cast(Classifier, state.eval_network("f_t"))
    probe = HealthProbe(data, device, spec.training)
    images = TrainingImages(data, device)
    images.predict(_FirstClass())  # predicting labels is a phase
    outputs = noise_outputs(VALIDATED, _FEATURES, limit=VALIDATED.target_val)
    phases: dict[str, Callable[[], object]] = {
        "update": lambda: EpochTrainer(spec, images, None).train(1, [Member(state)]),
        "scoring": lambda: predict_all(f_t, images.source),
        "health": lambda: probe.report(state.eval_network("g_st"), state.networks.f_s),
        "grid": lambda: sample_grid(state, images),
        "labels": lambda: predict_labels(state.networks.f_s, images.source),
        "validators": lambda: score_all(outputs),
    }
    before = _peak_bytes(device)
    phases[phase]()
    return (_peak_bytes(device) - before) / _MB


class _FirstClass(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), IMAGES.classes, device=images.device)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_in_process(phase: str, size: int, batch_size: int) -> float:
    """Return what `measure` returns in a process of its own."""
    command = [sys.executable, __file__, "--phase", phase]
    command += ["--sizes", str(size), "--batch-size", str(batch_size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(json.loads(output))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase is not None:
        print(json.dumps(measure(options.phase, options.sizes[0], options.batch_size)))
        return
    print("size  " + "".join(f"{phase:>12}" for phase in PHASES))
    for size in options.sizes:
        peaks = [measure_in_process(phase, size, options.batch_size) for phase in PHASES]
        print(f"{size:4}  " + "".join(f"{peak:12.0f}" for peak in peaks), flush=True)


if __name__ == "__main__":
    main()
