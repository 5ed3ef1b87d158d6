"""The state of a trial: everything that its training carries from one update to the next."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.averages import MovingAverage
from adaptune.training.distributed import rank, unwrap, world_size
from adaptune.training.draws import Draws, Purpose
from adaptune.training.image_pool import ImagePool
from adaptune.training.networks import (
    CLASSIFIER_SIDE,
    GENERATOR_SIDE,
    TRAINED,
    Networks,
    build_networks,
    prepare_for_training,
)
from adaptune.training.optimizers import (
    Optimizers,
    build_optimizers,
    learning_rates,
)
from adaptune.training.schedule import set_lr

T = TypeVar("T")
StateDict = Mapping[str, Tensor]
# The networks and the optimizers that the trials of a group share.
SHARED = {*GENERATOR_SIDE, "generators", "discriminators"}


@dataclass
class TrainingState:
    """Networks, optimizers, image pools, gates and averages of a trial after `step` updates.

    Attributes:
        pool_source: earlier translations into the source domain, for D_s.
        pool_target: earlier translations into the target domain, for D_t.
        averages: moving averages of G_st, G_ts and f_T, as far as the spec asks for them, by the
            name of the network.
        draws: random values of the updates, which the trials of a group share.
        semantic_open: scalar; 1 once the semantic gate has opened, otherwise 0.
        best_epoch: the epoch with the best score so far; 0 before the first one.
        best_score: score of the best epoch, see `EpochRecord.score`.
        lowest_losses: see `HealthMonitor`.
        eval_buffers: buffers that replace those of a network in evaluation and exports, by the name
            of the network: statistics of batch norm on the target.
    """

    spec: TrialSpec
    device: torch.device
    networks: Networks
    optimizers: Optimizers
    pool_source: ImagePool
    pool_target: ImagePool
    averages: dict[str, MovingAverage]
    draws: Draws
    semantic_open: Tensor
    step: int = 0
    best_epoch: int = 0
    best_score: tuple[float, float] = (float("-inf"), 0.0)
    lowest_losses: dict[str, float] = field(default_factory=dict)
    eval_buffers: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def total_steps(self) -> int:
        """The number of updates of the whole trial."""
        return self.spec.training.epochs * self.spec.training.steps_per_epoch

    @property
    def classifier_start(self) -> int:
        """The number of updates before the first one that trains f_T and D_feat."""
        return int(self.spec.training.classifier_from * self.total_steps)

    @property
    def trains_classifier(self) -> bool:
        """True if the coming update trains f_T and D_feat."""
        return self.step >= self.classifier_start

    @property
    def computes_penalty(self) -> bool:
        """True if the coming update computes the gradient penalty, if that has a weight."""
        return self.step % self.spec.training.gradient_penalty_every == 0

    @property
    def structure(self) -> tuple[bool, ...]:
        """The facts that decide, in a trial, which operations the coming update makes."""
        has_penalty = self.spec.loss_weights.gradient_penalty > 0 and self.computes_penalty
        return self.trains_classifier, has_penalty

    def set_rates(self) -> None:
        """Set the learning rates of the coming update, and the weights of its averages."""
        rates = learning_rates(self.spec, self.step / self.total_steps)
        for name, optimizer in self.optimizers.by_name().items():
            set_lr(optimizer, rates[name])
        for name, average in self.averages.items():
            skipped = self.classifier_start if name in CLASSIFIER_SIDE else 0
            average.set_weight(max(self.step - skipped, 0))

    def update_averages(self, networks: Container[str] = TRAINED) -> None:
        """Move the averages of some networks after an update of them.

        Args:
            networks: names of the networks.
        """
        trained = self.networks.trained()
        for name, average in self.averages.items():
            if name in networks:
                average.update(unwrap(trained[name]))

    def update_best(self, epoch: int, score: tuple[float, float]) -> None:
        """Make `epoch` the best one if its score exceeds that of the best epoch so far."""
        if score > self.best_score:
            self.best_epoch = epoch
            self.best_score = score

    def prepare_draws(self, others: T) -> T:
        """Draw the random values of the coming update, and return other values on the device.

        Args:
            others: see `Draws.prepare`.
        """
        return self.draws.prepare(self.step, self.rng, others)

    def drawn(self, purpose: Purpose, draw: Callable[[torch.Generator], T]) -> T:
        """Return random values of the coming update on the device, see `Draws.get`."""
        return self.draws.get(self.step, self.rng, purpose, draw)

    def rng(self, purpose: Purpose) -> torch.Generator:
        """Return the random numbers of the coming update for one purpose, on the CPU.

        They depend on the seed, the purpose and the step only, so a resumed trial draws the same.
        """
        stream = rank() if purpose.per_worker else 0
        seed = derive_seed(self.spec.seed, purpose.name, self.step, stream)
        return torch.Generator().manual_seed(seed)

    def eval_network(self, name: str) -> nn.Module:
        """Return the network to evaluate and export: its moving average if it has one."""
        if name in self.averages:
            return self.averages[name].module
        return unwrap(self.networks.trained()[name])

    def state_dict(self, *, without: Container[str] = ()) -> dict[str, Any]:
        """Return what `load_state_dict` needs for an exact resume, except for the image pools.

        Args:
            without: names of networks and optimizers that are left out.
        """
        trained = self.networks.trained()
        optimizers = self.optimizers.by_name()
        return {
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best_score": list(self.best_score),
            "lowest_losses": self.lowest_losses,
            "networks": {
                name: unwrap(network).state_dict()
                for name, network in trained.items()
                if name not in without
            },
            "optimizers": {
                name: optimizer.state_dict()
                for name, optimizer in optimizers.items()
                if name not in without
            },
            "averages": {
                name: average.module.state_dict()
                for name, average in self.averages.items()
                if name not in without
            },
            "semantic_open": self.semantic_open,
            "eval_buffers": self.eval_buffers,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Bring the trial to a state that `state_dict` returned."""
        self.step = state["step"]
        self.best_epoch = state["best_epoch"]
        self.best_score = tuple(state["best_score"])
        self.lowest_losses = dict(state["lowest_losses"])
        for name, network in self.networks.trained().items():
            unwrap(network).load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.by_name().items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, average in self.averages.items():
            average.module.load_state_dict(state["averages"][name])
        self.semantic_open.copy_(state["semantic_open"])

    def pools_state(self) -> dict[str, Tensor | None]:
        """Return the images in this worker's pools, (P, C, H, W) each, on the CPU.

        Rank 0 writes the pools of all workers, and it may not see another worker's device.
        """
        return {"source": self.pool_source.cpu_images(), "target": self.pool_target.cpu_images()}

    def load_pools_state(self, state: Mapping[str, Tensor | None]) -> None:
        """Fill the pools with images that `pools_state` returned."""
        self.pool_source.load(state["source"], self.device)
        self.pool_target.load(state["target"], self.device)


def build_state(
    spec: TrialSpec, classes: int, source_weights: StateDict, device: torch.device
) -> TrainingState:
    """Return the state of a trial before its first update.

    Args:
        classes: number of classes, K.
        source_weights: weights of f_S.
    """
    training = spec.training
    networks = build_networks(spec, classes, source_weights, device)
    averages = _build_averages(networks, spec)
    networks = prepare_for_training(networks, device, training)
    gate_is_open = training.semantic_gate is None
    return TrainingState(
        spec=spec,
        device=device,
        networks=networks,
        optimizers=build_optimizers(networks, spec),
        pool_source=ImagePool(training.pool_images(world_size())),
        pool_target=ImagePool(training.pool_images(world_size())),
        averages=averages,
        draws=Draws(device),
        semantic_open=torch.tensor(float(gate_is_open), device=device),
    )


def build_group(
    specs: Sequence[TrialSpec], classes: int, source_weights: StateDict, device: torch.device
) -> list[TrainingState]:
    """Return the states of trials that train their classifiers on one GAN.

    They share the generators, the image discriminators and f_S, with what these are trained with.
    Each trial has an f_T and a D_feat of its own, with the initial weights that it has alone.

    Args:
        specs: specs of the trials, which differ in settings of the classifier side only.
        classes: number of classes, K.
        source_weights: weights of f_S.
    """
    first = build_state(specs[0], classes, source_weights, device)
    return [first, *(_build_member(spec, classes, source_weights, first) for spec in specs[1:])]


def _build_member(
    spec: TrialSpec, classes: int, source_weights: StateDict, first: TrainingState
) -> TrainingState:
    """Return the state of a trial that shares the GAN of the first one of its group."""
    device = first.device
    networks = build_networks(spec, classes, source_weights, device, group=first.networks)
    averages = _build_averages(networks, spec, CLASSIFIER_SIDE)
    networks = prepare_for_training(networks, device, spec.training, CLASSIFIER_SIDE)
    optimizers = replace(
        build_optimizers(networks, spec),
        generators=first.optimizers.generators,
        discriminators=first.optimizers.discriminators,
    )
    shared_averages = {
        name: average for name, average in first.averages.items() if name in GENERATOR_SIDE
    }
    return replace(
        first,
        spec=spec,
        networks=networks,
        optimizers=optimizers,
        averages=shared_averages | averages,
        semantic_open=first.semantic_open.clone(),
        lowest_losses={},
        eval_buffers={},
    )


def _build_averages(
    networks: Networks, spec: TrialSpec, names: Container[str] = TRAINED
) -> dict[str, MovingAverage]:
    generator_decay = spec.training.ema_decay
    classifier_decay = spec.training.classifier_ema_decay
    decays = {"g_st": generator_decay, "g_ts": generator_decay, "f_t": classifier_decay}
    averages = {}
    for name, decay in decays.items():
        if decay and name in names:
            averages[name] = MovingAverage(getattr(networks, name), decay)
    return averages
