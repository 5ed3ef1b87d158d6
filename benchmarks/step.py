"""Speed of an update, per phase, against a plainly written CycleGAN and against matrix products.

    python benchmarks/step.py [--space cycada.yaml] [--rounds 15] [--threads 1]

The first table has the phases of an update of CyCADA: their time, and their share of the speed at
which the same processor multiplies large float32 matrices. The second one has the updates of the
generators and the image discriminators of CycleGAN, once as this package does them and once as a
textbook would, with the same networks, batch and weights of terms. Both take turns, so that other
work on the machine slows both; their ratio is what counts. Images are noise, which does not change
the speed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torch.utils.flop_counter import FlopCounterMode

from adaptune.data.sampling import UnpairedSampler
from adaptune.spec import load_spec
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.calibration_data import DataSizes, noise_data
from adaptune.training.state import TrainingState, build_state
from adaptune.training.steps.augment import augmented_batch
from adaptune.training.steps.batch import Batch, TrainingImages, Translated
from adaptune.training.steps.classifier import adaptation_phase
from adaptune.training.steps.cycada import semantic_term
from adaptune.training.steps.discriminators import discriminator_phase
from adaptune.training.steps.generators import gan_phase, generator_phase

CPU = torch.device("cpu")
SIZES = DataSizes(classes=10, source_train=512, source_val=8, target_train=512, target_val=8)
SEARCHED = ("cycle", "semantic", "feature", "information")
MATRIX = 1024
Phase = Callable[[], object]


class Update:
    """The phases of an update of CyCADA, each of which can be run by itself."""

    def __init__(self, spec: TrialSpec) -> None:
        self.state, self._images = state_and_images(spec)
        batch_size = spec.training.batch_size
        self._sampler = UnpairedSampler(512, 512, batch_size, seed=0)
        self.batch = self.next_batch()
        _, self._translated = self._train_generators()

    def phases(self) -> dict[str, Phase]:
        """Return the phases by their names, in their order."""
        return {
            "batch": self.next_batch,
            "G_st, G_ts": self._train_generators,
            "D_s, D_t": self._train_discriminators,
            "D_feat, f_T": self._train_classifier,
            "moving averages": self.state.update_averages,
        }

    def next_batch(self) -> Batch:
        """Begin the next update, and return its batch."""
        self.state.step += 1
        self.state.set_rates()
        indices = self._images.indices(self._sampler, self.state.step)
        places = self.state.prepare_draws(indices)
        batch = self._images.batch(indices, places, true_semantic=False)
        self.batch = augmented_batch(self.state, batch)
        return self.batch

    def _train_generators(self) -> tuple[object, Translated]:
        result = generator_phase(self.state, self.batch, semantic_term)
        self._translated = result[1]
        return result

    def _train_discriminators(self) -> object:
        return discriminator_phase(self.state, self.batch, self._translated)

    def _train_classifier(self) -> object:
        return adaptation_phase(self.state, self.batch, self._translated.source)


class TextbookPool:
    """An image pool as CycleGAN's code has it: a list of images."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """Exchange images with the pool: (N, C, H, W) → (N, C, H, W)."""
        result = []
        for image in images.detach():
            if len(self._images) < self._size:
                self._images.append(image)
                result.append(image)
            elif random.random() > 0.5:
                place = random.randrange(self._size)
                result.append(self._images[place])
                self._images[place] = image
            else:
                result.append(image)
        return torch.stack(result)


class Textbook:
    """An update of CycleGAN, one forward pass per term (Zhu et al. 2017)."""

    def __init__(self, state: TrainingState) -> None:
        self._nets = state.networks
        self._weights = state.spec.loss_weights
        self._generators = list(self._nets.g_st.parameters()) + list(self._nets.g_ts.parameters())
        self._discriminators = list(self._nets.d_s.parameters()) + list(self._nets.d_t.parameters())
        self._g_adam = torch.optim.Adam(self._generators, lr=2e-4, betas=(0.5, 0.999))
        self._d_adam = torch.optim.Adam(self._discriminators, lr=2e-4, betas=(0.5, 0.999))
        self._pools = (TextbookPool(50), TextbookPool(50))

    def update(self, source: Tensor, target: Tensor) -> None:
        """Update G_st and G_ts, then D_s and D_t: (N, C, H, W), (N, C, H, W)."""
        nets, weights = self._nets, self._weights
        for parameter in self._discriminators:
            parameter.requires_grad_(False)
        fake_target, fake_source = nets.g_st(source), nets.g_ts(target)
        loss = _is_real(nets.d_t(fake_target)) + _is_real(nets.d_s(fake_source))
        loss = weights.adversarial * loss
        if weights.cycle:
            cycle = F.l1_loss(nets.g_ts(fake_target), source)
            loss = loss + weights.cycle * (cycle + F.l1_loss(nets.g_st(fake_source), target))
        if weights.identity:
            identity = F.l1_loss(nets.g_ts(source), source)
            loss = loss + weights.identity * (identity + F.l1_loss(nets.g_st(target), target))
        self._g_adam.zero_grad()
        loss.backward()
        self._g_adam.step()
        for parameter in self._discriminators:
            parameter.requires_grad_(True)
        fakes = (self._pools[0].query(fake_source), self._pools[1].query(fake_target))
        self._d_adam.zero_grad()
        _discriminator_loss(nets.d_s, source, fakes[0]).backward()
        _discriminator_loss(nets.d_t, target, fakes[1]).backward()
        self._d_adam.step()


def _is_real(logits: Tensor) -> Tensor:
    return F.mse_loss(logits, torch.ones_like(logits))


def _discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    fake_logits = discriminator(fake)
    fake_loss = F.mse_loss(fake_logits, torch.zeros_like(fake_logits))
    return 0.5 * (_is_real(discriminator(real)) + fake_loss)


def state_and_images(spec: TrialSpec) -> tuple[TrainingState, TrainingImages]:
    """Return the state of a trial on noise, and its images."""
    classifier = build_classifier(spec.model.classifier, spec.data.source, SIZES.classes)
    state = build_state(spec, SIZES.classes, classifier.state_dict(), CPU)
    images = TrainingImages(noise_data(spec.data.source, SIZES), CPU)
    images.predict(state.networks.f_s)
    return state, images


def matmul_gflops() -> float:
    """Return the speed of float32 matrix products in GFLOP/s: the best of some."""
    matrix = torch.rand(MATRIX, MATRIX)
    seconds = [_seconds(lambda: matrix @ matrix) for _ in range(10)]
    return 2 * MATRIX**3 / min(seconds) / 1e9


def _seconds(call: Phase) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rounds(calls: dict[str, Phase], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call. They take turns, after one round of warming up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            seconds[name].append(_seconds(call))
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def phase_table(spec: TrialSpec, rounds: int) -> Table:
    """Return the table of the phases of an update."""
    update = Update(spec)
    flops = {}
    for name, phase in update.phases().items():
        with FlopCounterMode(display=False) as counter:
            phase()
        flops[name] = counter.get_total_flops()
    seconds = _rounds(update.phases(), rounds)
    speed = matmul_gflops()
    table = Table("phase", "time", "GFLOP", f"of {speed:.0f} GFLOP/s")
    for name, phase_s in [*seconds.items(), ("update", sum(seconds.values()))]:
        gflop = flops.get(name, sum(flops.values())) / 1e9
        share = gflop / phase_s / speed
        table.add_row(name, f"{1000 * phase_s:.1f} ms", f"{gflop:.2f}", f"{share:.0%}")
    return table


def textbook_table(spec: TrialSpec, rounds: int) -> Table:
    """Return the table of CycleGAN's update and that of a textbook."""
    state, _ = state_and_images(spec)
    batch = Update(spec).batch
    textbook = Textbook(state_and_images(spec)[0])
    seconds = _rounds(
        {
            "textbook": lambda: textbook.update(batch.source, batch.target),
            "adaptune": lambda: gan_phase(state, batch),
        },
        rounds,
    )
    table = Table("CycleGAN", "update", "pairs per second", "relative to the textbook")
    for name, update_s in seconds.items():
        pairs = len(batch.source) / update_s
        ratio = seconds["textbook"] / update_s
        table.add_row(name, f"{1000 * update_s:.1f} ms", f"{pairs:.0f}", f"{ratio:.2f}")
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="cycada.yaml")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    values = {f"loss_weights.{name}": 0.5 for name in SEARCHED}
    spec = load_spec(arguments.space, ["training.precision=fp32"]).trial(values, seed=0)
    console = Console(highlight=False)
    console.print(f"{arguments.space}, {torch.get_num_threads()} thread(s)")
    console.print(phase_table(spec, arguments.rounds))
    console.print(textbook_table(spec, arguments.rounds))


if __name__ == "__main__":
    main()
