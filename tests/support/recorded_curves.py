"""Curves as record_curves.py writes them, from a formula."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from curve_design import Design
from curve_table import ACCURACY, LOSS, Recipe, write_curves
from scipy.special import expit, logit

from adaptune.spec import load_spec

EPOCHS = 8
GROUP_SIZE = 4
IMAGES = 500
OVERRIDES = [
    f"training.epochs={EPOCHS}",
    "loss_weights.consistency=0",
    f"search.classifiers_per_gan={GROUP_SIZE}",
    "search.start_points=[]",
]


def make_recipe() -> Recipe:
    """Return the recipe of a search of cycle, semantic, feature and information."""
    return Recipe.of(load_spec("mnist_optdigits.yaml", OVERRIDES), IMAGES)


def true_accuracy(values: dict[str, float], epoch: int) -> float:
    """Return an accuracy that cycle and feature decide, highest at 1 and 0.3."""
    cycle = math.log10(values["loss_weights.cycle"])
    feature = math.log10(values["loss_weights.feature"] / 0.3)
    return 0.5 + (0.4 - 0.15 * cycle**2 - 0.1 * feature**2) * (1 - 0.5**epoch)


def write_recorded(
    path: Path,
    *,
    groups: int = 16,
    seeds: int = 1,
    seed_std: float = 0.0,
    gan_std: float = 0.0,
    noise_std: float = 0.0,
) -> Path:
    """Write curves of every group under each seed, with effects of chance, and return the path.

    Args:
        seed_std: effect of a seed on the log odds.
        gan_std: effect of the chance of a GAN on them.
        noise_std: noise of an accuracy.
    """
    recipe = make_recipe()
    design = Design(recipe.spec().space, GROUP_SIZE)
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        of_seed = seed_std * random.standard_normal()
        for group in range(groups):
            of_gan = gan_std * random.standard_normal()
            for trial, values in enumerate(design.group(group)):
                for epoch in range(1, EPOCHS + 1):
                    accuracy = expit(logit(true_accuracy(values, epoch)) + of_seed + of_gan)
                    accuracy += noise_std * random.standard_normal()
                    keys = {"seed": seed, "group": group, "trial": trial, "epoch": epoch}
                    figures = {ACCURACY: accuracy, LOSS: 1 - accuracy}
                    seconds = {"group_s": 5.0, "alone_s": 2.0, "eval_s": 0.1}
                    rows.append(keys | values | figures | seconds)
    write_curves(path, recipe, rows)
    return path
