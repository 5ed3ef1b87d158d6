"""All that a trial's training carries from one update to the next."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.swa_utils import get_ema_multi_avg_fn

from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import (
    build_classifier,
    build_discriminator,
    build_feature_discriminator,
    build_generator,
    to_device,
)
from adaptune.training.distributed import ddp_wrap, rank, unwrap
from adaptune.training.image_pool import ImagePool
from adaptune.training.schedule import lr_factor, set_lr, warmed_up

StateDict = Mapping[str, Tensor]
TRAINED = (
    "g_source_to_target",
    "g_target_to_source",
    "d_source",
    "d_target",
    "f_target",
    "d_feature",
)


@dataclass
class Networks:
    """The networks of CyCADA; each trained one is wrapped on its own where there are several workers."""

    g_source_to_target: nn.Module
    g_target_to_source: nn.Module
    d_source: nn.Module
    d_target: nn.Module
    f_source: nn.Module  # fixed: eval mode, no parameter requires a gradient
    f_target: nn.Module
    d_feature: nn.Module


@dataclass
class Optimizers:
    generators: Adam
    discriminators: Adam
    f_target: Adam
    d_feature: Adam


@dataclass
class TrainingState:
    """Networks, optimizers, pools, gates and averages of one trial after `step` updates."""

    spec: TrialSpec
    device: torch.device
    networks: Networks
    optimizers: Optimizers
    pool_source: ImagePool
    pool_target: ImagePool
    averages: dict[str, nn.Module]  # exponential moving averages, by the name of the network
    semantic_open: Tensor  # 1 once the semantic gate has opened, else 0
    step: int = 0
    best_epoch: int = 0
    best_score: tuple[float, float] = (float("-inf"), 0.0)
    base_lrs: dict[str, float] = field(default_factory=dict)
    lowest_losses: dict[str, float] = field(default_factory=dict)  # see HealthMonitor

    @property
    def total_steps(self) -> int:
        return self.spec.training.epochs * self.spec.training.steps_per_epoch

    def set_learning_rates(self) -> None:
        """Put the rates of the coming update into the optimizers."""
        factor = lr_factor(self.step / self.total_steps, self.spec.training.lr_decay_from)
        for name, lr in self.base_lrs.items():
            set_lr(getattr(self.optimizers, name), lr * factor)

    def update_best(self, epoch: int, score: tuple[float, float]) -> None:
        """Remember the best epoch: the one with the highest score."""
        if score > self.best_score:
            self.best_epoch, self.best_score = epoch, score

    def generator(self, purpose: str, *, own: bool = False) -> torch.Generator:
        """The random numbers of the coming update for one purpose: the same after a resume.

        Alike on all workers, or each worker's `own`.
        """
        return torch.Generator().manual_seed(
            derive_seed(self.spec.seed, purpose, self.step, rank() if own else 0)
        )

    @torch.no_grad()
    def update_averages(self) -> None:
        training = self.spec.training
        for name, average in self.averages.items():
            decay = training.classifier_ema_decay if name == "f_target" else training.ema_decay
            update = get_ema_multi_avg_fn(warmed_up(decay, self.step))
            live = unwrap(getattr(self.networks, name))
            update(list(average.parameters()), list(live.parameters()), self.step)
            for mine, theirs in zip(average.buffers(), live.buffers(), strict=True):
                mine.copy_(theirs)

    def eval_network(self, name: str) -> nn.Module:
        """The network that is evaluated and exported: the moving average where there is one."""
        return self.averages.get(name, unwrap(getattr(self.networks, name)))

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on exactly; the pools are this worker's own."""
        return {
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best_score": list(self.best_score),
            "lowest_losses": self.lowest_losses,
            "networks": {
                name: unwrap(getattr(self.networks, name)).state_dict() for name in TRAINED
            },
            "optimizers": {
                name: getattr(self.optimizers, name).state_dict() for name in self.base_lrs
            },
            "averages": {name: module.state_dict() for name, module in self.averages.items()},
            "semantic_open": self.semantic_open,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]
        self.best_epoch = state["best_epoch"]
        self.best_score = tuple(state["best_score"])
        self.lowest_losses = dict(state["lowest_losses"])
        for name in TRAINED:
            unwrap(getattr(self.networks, name)).load_state_dict(state["networks"][name])
        for name in self.base_lrs:
            getattr(self.optimizers, name).load_state_dict(state["optimizers"][name])
        for name, module in self.averages.items():
            module.load_state_dict(state["averages"][name])
        self.semantic_open = state["semantic_open"].to(self.device)

    def pools_state(self) -> dict[str, Tensor | None]:
        """On the CPU: another worker, which may not see this one's device, writes them."""
        pools = {"source": self.pool_source, "target": self.pool_target}
        return {
            name: None if pool.images is None else pool.images.cpu() for name, pool in pools.items()
        }

    def load_pools_state(self, state: Mapping[str, Tensor | None]) -> None:
        for pool, name in ((self.pool_source, "source"), (self.pool_target, "target")):
            images = state[name]
            pool.images = None if images is None else images.to(self.device)


def build_state(
    spec: TrialSpec, classes: int, source_weights: StateDict, device: torch.device
) -> TrainingState:
    """A trial's state before its first update: f_T begins as f_S, all else is drawn from the seed."""
    training, model, images = spec.training, spec.model, spec.data.source
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "init"))
        g_st, g_ts = (build_generator(model, images.channels, training.init_gain) for _ in range(2))
        d_s, d_t = (
            build_discriminator(model, images.channels, training.init_gain) for _ in range(2)
        )
        d_feature = build_feature_discriminator(model, classes)
        f_s, f_t = (build_classifier(model.classifier, images, classes) for _ in range(2))
    f_s.load_state_dict(source_weights)
    f_t.load_state_dict(source_weights)
    f_s.eval().requires_grad_(False)
    averages: dict[str, nn.Module] = {}
    if training.ema_decay:
        averages |= {
            "g_source_to_target": _frozen_copy(g_st),
            "g_target_to_source": _frozen_copy(g_ts),
        }
    if training.classifier_ema_decay:
        averages["f_target"] = _frozen_copy(f_t)
    for net in (g_st, g_ts, d_s, d_t, f_s, f_t, d_feature):
        to_device(net, device, channels_last=training.channels_last)
    if training.compile:
        for net in (g_st, g_ts, d_s, d_t, f_t, d_feature):
            net.compile()
    networks = Networks(
        g_source_to_target=ddp_wrap(g_st, device),
        g_target_to_source=ddp_wrap(g_ts, device),
        d_source=ddp_wrap(d_s, device),
        d_target=ddp_wrap(d_t, device),
        f_source=f_s,
        f_target=ddp_wrap(f_t, device),
        d_feature=ddp_wrap(d_feature, device),
    )
    base_lrs = {
        "generators": training.generator_lr,
        "discriminators": training.discriminator_lr,
        "f_target": training.classifier_lr,
        "d_feature": training.feature_discriminator_lr,
    }
    modules = {
        "generators": (networks.g_source_to_target, networks.g_target_to_source),
        "discriminators": (networks.d_source, networks.d_target),
        "f_target": (networks.f_target,),
        "d_feature": (networks.d_feature,),
    }
    betas = (training.beta1, training.beta2)
    optimizers = {
        name: Adam(
            [p for m in modules[name] for p in m.parameters()], lr=lr, betas=betas, fused=True
        )
        for name, lr in base_lrs.items()
    }
    return TrainingState(
        spec=spec,
        device=device,
        networks=networks,
        optimizers=Optimizers(**optimizers),
        pool_source=ImagePool(training.pool_size),
        pool_target=ImagePool(training.pool_size),
        averages={
            name: to_device(net, device, channels_last=training.channels_last)
            for name, net in averages.items()
        },
        semantic_open=torch.tensor(float(training.semantic_gate is None), device=device),
        base_lrs=base_lrs,
    )


def _frozen_copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).eval().requires_grad_(False)
