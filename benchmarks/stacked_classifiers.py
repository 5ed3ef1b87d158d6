"""Speed of the classifiers of a trial group, stacked or one after another.

    python benchmarks/stacked_classifiers.py [--size 8] [--rounds 5]

A group trains its classifiers in a loop. `torch.func` can stack their weights and train all in one
call, which saves launches of small operations on a GPU. Both ways compute the cross-entropy of each
classifier on the same images, and its gradients. They take turns, so that other work on the machine
slows both.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.spec import SearchSpec, load_spec
from adaptune.training.build import build_classifier

CLASSES = 10


@dataclass(frozen=True)
class Workload:
    """Overrides of the search on digits, and the number of images in an update of f_T."""

    images: int
    overrides: Sequence[str] = ()


WORKLOADS = {
    "lenet, 32 px": Workload(192),
    "dtn, 32 px": Workload(192, ["model.classifier={name: dtn}"]),
    "resnet18, 64 px": Workload(
        24,
        [
            "model.classifier={name: resnet18}",
            "data.source={domain: mnist5k, size: 64, channels: 3}",
            "data.target={domain: optdigits, size: 64, channels: 3}",
        ],
    ),
}


def classifiers(spec: SearchSpec, count: int, device: torch.device) -> list[nn.Module]:
    """Return classifiers with different weights, in evaluation mode.

    Dropout and batch norm would need random numbers and buffers for each network in both ways.
    """
    nets = []
    for _ in range(count):
        net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
        nets.append(net.eval().to(device))
    return nets


def looped(nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Callable[[], list[Tensor]]:
    """Return a function that computes the gradients of all networks one after another."""

    def compute() -> list[Tensor]:
        gradients = []
        for net in nets:
            parameters = list(net.parameters())
            loss = F.cross_entropy(net(images), labels)
            gradients.append(torch.autograd.grad(loss, parameters)[0])
        return gradients

    return compute


def stacked(
    nets: Sequence[nn.Module], images: Tensor, labels: Tensor
) -> Callable[[], list[Tensor]]:
    """Return a function that computes the gradients of all networks in one call."""
    parameters, buffers = stack_module_state(list(nets))
    parameters = {name: value.detach() for name, value in parameters.items()}
    skeleton = copy.deepcopy(nets[0]).to("meta")

    def loss_of(values: Mapping[str, Tensor], own_buffers: Mapping[str, Tensor]) -> Tensor:
        logits = functional_call(skeleton, (dict(values), dict(own_buffers)), (images,))
        return F.cross_entropy(logits, labels)

    gradients_of = vmap(grad(loss_of))

    def compute() -> list[Tensor]:
        gradients = gradients_of(parameters, buffers)
        return list(next(iter(gradients.values())))

    return compute


def seconds(compute: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    compute()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Timing:
    """Median seconds of both ways, and the largest difference of their gradients."""

    looped_s: float
    stacked_s: float
    difference: float


def measure(workload: Workload, size: int, rounds: int, device: torch.device) -> Timing:
    """Time both ways for `size` classifiers."""
    spec = load_spec("mnist_optdigits.yaml", workload.overrides)
    nets = classifiers(spec, size, device)
    side, channels = spec.data.source.size, spec.data.source.channels
    images = torch.rand(workload.images, channels, side, side, device=device)
    labels = torch.arange(workload.images, device=device) % CLASSES
    in_loop = looped(nets, images, labels)
    in_stack = stacked(nets, images, labels)
    pairs = zip(in_loop(), in_stack(), strict=True)  # the first calls are slower
    difference = max(float((one - other).abs().max()) for one, other in pairs)
    looped_s, stacked_s = [], []
    for _ in range(rounds):
        looped_s.append(seconds(in_loop, device))
        stacked_s.append(seconds(in_stack, device))
    return Timing(statistics.median(looped_s), statistics.median(stacked_s), difference)


def main() -> None:
    """Print a table of both ways for some classifiers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table("classifiers", "looped", "stacked", "looped / stacked", "largest difference")
    for name, workload in WORKLOADS.items():
        timing = measure(workload, arguments.size, arguments.rounds, device)
        table.add_row(
            f"{arguments.size} × {name}",
            f"{1000 * timing.looped_s:.0f} ms",
            f"{1000 * timing.stacked_s:.0f} ms",
            f"{timing.looped_s / timing.stacked_s:.2f}",
            f"{timing.difference:.1e}",
        )
    console = Console(highlight=False)
    console.print(f"{device}, {torch.get_num_threads()} thread(s)")
    console.print(table)


if __name__ == "__main__":
    main()
