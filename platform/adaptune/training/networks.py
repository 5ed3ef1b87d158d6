"""The networks of a trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from adaptune.models.generators import ResidualBlock
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.spec.training import TrainingSpec
from adaptune.training.build import (
    build_classifier,
    build_discriminator,
    build_feature_discriminator,
    build_generator,
    to_device,
)
from adaptune.training.distributed import ddp_wrap

GENERATOR_SIDE = ("g_st", "g_ts", "d_s", "d_t")
CLASSIFIER_SIDE = ("f_t", "d_feat")
TRAINED = (*GENERATOR_SIDE, *CLASSIFIER_SIDE)


@dataclass(frozen=True)
class Networks:
    """The networks of CyCADA (Hoffman et al. 2018).

    Images are (N, C, H, W) in [-1, 1]; K is the number of classes. Checkpoints use the names of
    the attributes.

    Attributes:
        g_st: G_st, translates from source to target: images → images.
        g_ts: G_ts, translates from target to source: images → images.
        d_s: D_s, tells source images from translated target images: images → (N, 1, H', W').
        d_t: D_t, tells target images from translated source images: images → (N, 1, H', W').
        f_s: f_S, the source classifier: images → (N, K). It is fixed, so it is in eval mode and
            none of its parameters requires a gradient.
        f_t: f_T, the target classifier: images → (N, K).
        d_feat: D_feat, tells logits of translated source images from those of target images:
            (N, K) → (N, 2).
    """

    g_st: nn.Module
    g_ts: nn.Module
    d_s: nn.Module
    d_t: nn.Module
    f_s: nn.Module
    f_t: nn.Module
    d_feat: nn.Module

    def trained(self) -> dict[str, nn.Module]:
        """Return the networks that a trial trains, by name."""
        return {name: getattr(self, name) for name in TRAINED}

    def generator_side(self) -> dict[str, nn.Module]:
        """Return the generators and the image discriminators, by name."""
        return {name: getattr(self, name) for name in GENERATOR_SIDE}


def build_networks(
    spec: TrialSpec,
    classes: int,
    source_weights: Mapping[str, Tensor],
    device: torch.device,
    *,
    group: Networks | None = None,
) -> Networks:
    """Return the networks before the first update, on their device.

    f_T starts with the weights of f_S. All other networks are drawn from the seed.

    Args:
        group: networks of another trial of the group, whose generator side and f_S are used.
    """
    model = spec.model
    images = spec.data.source
    channels = images.channels
    init_gain = spec.training.init_gain
    # The order of creation is part of what a seed means.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "init"))
        g_st = build_generator(model, channels, init_gain)
        g_ts = build_generator(model, channels, init_gain)
        d_s = build_discriminator(model, channels, init_gain)
        d_t = build_discriminator(model, channels, init_gain)
        d_feat = build_feature_discriminator(model, classes)
        f_s = build_classifier(model.classifier, images, classes)
        f_t = build_classifier(model.classifier, images, classes)
    f_s.load_state_dict(source_weights)
    f_t.load_state_dict(source_weights)
    f_s.eval().requires_grad_(False)
    if spec.training.freeze_head:
        f_t.last_layer.requires_grad_(False)
    networks = Networks(g_st=g_st, g_ts=g_ts, d_s=d_s, d_t=d_t, f_s=f_s, f_t=f_t, d_feat=d_feat)
    # The group's networks replace those of the same seed, which only had to be drawn.
    new = networks if group is None else replace(networks, **group.generator_side(), f_s=group.f_s)
    for network in [*new.trained().values(), new.f_s]:
        to_device(network, device, spec.training)
    return new


def prepare_for_training(
    networks: Networks,
    device: torch.device,
    training: TrainingSpec,
    names: Collection[str] = TRAINED,
) -> Networks:
    """Return the networks, the trained ones compiled if asked for and wrapped by `ddp_wrap`.

    Args:
        names: names of the trained networks that are not prepared yet.
    """
    trained = {name: network for name, network in networks.trained().items() if name in names}
    if training.recompute_blocks:
        for module in [*networks.g_st.modules(), *networks.g_ts.modules()]:
            if isinstance(module, ResidualBlock):
                module.is_recomputed = True
    if training.compile:
        for network in trained.values():
            network.compile()
    wrapped = {name: ddp_wrap(network, device) for name, network in trained.items()}
    return replace(networks, **wrapped)
