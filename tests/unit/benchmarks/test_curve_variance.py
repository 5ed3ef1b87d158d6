from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curve_table import read_curves
from curve_variance import cube, jitter, log_odds, luck, variances, without_seed_effects
from support.recorded_curves import EPOCHS, GROUP_SIZE, write_recorded

from adaptune.curves.kernel import Array


def simulate(seeds: int, groups: int, size: int, stds: tuple[float, ...]) -> Array:
    """Accuracies with known components: generators, classifiers, seed, gan, chance."""
    random = np.random.default_rng(0)
    shapes = [(1, groups, 1), (1, groups, size), (seeds, 1, 1), (seeds, groups, 1)]
    values = np.zeros((seeds, groups, size))
    for std, shape in zip(stds, [*shapes, values.shape], strict=True):
        values = values + std * random.standard_normal(shape)
    return values


def test_the_components_are_those_that_were_added() -> None:
    parts = variances(simulate(60, 60, 20, (0.3, 0.2, 0.25, 0.15, 0.1)))
    assert parts is not None
    assert np.sqrt(parts.generators) == pytest.approx(0.3, rel=0.25)
    assert np.sqrt(parts.classifiers) == pytest.approx(0.2, rel=0.05)
    assert np.sqrt(parts.seed) == pytest.approx(0.25, rel=0.25)
    assert np.sqrt(parts.gan) == pytest.approx(0.15, rel=0.05)
    assert np.sqrt(parts.chance) == pytest.approx(0.1, rel=0.02)
    of_settings = parts.generators + parts.classifiers
    assert parts.total == pytest.approx(of_settings + parts.seed + parts.gan + parts.chance)


def test_without_effects_of_the_seed_its_components_are_zero() -> None:
    parts = variances(simulate(3, 6, 4, (0.3, 0.2, 0.0, 0.0, 0.0)))
    assert parts is not None
    assert [parts.seed, parts.gan, parts.chance] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 1, 4), (2, 4, 1), (2, 0, 4)])
def test_variances_need_two_of_each(shape: tuple[int, int, int]) -> None:
    assert variances(np.zeros(shape)) is None


def test_the_cube_has_the_groups_that_all_seeds_share(tmp_path: Path) -> None:
    curves = read_curves(write_recorded(tmp_path / "c.parquet", groups=3, seeds=2))
    values = cube(curves, curves.accuracies)
    assert values.shape == (2, 3, GROUP_SIZE, EPOCHS)
    assert values[1, 2, 3] == pytest.approx(curves.accuracies[-1])
    lacks_one_trial = ~((curves.seeds == 1) & (curves.groups == 0) & (curves.trials == 2))
    part = curves.where(lacks_one_trial)
    assert cube(part, part.accuracies) == pytest.approx(values[:, 1:])
    one_group = curves.where(curves.seeds != curves.groups)
    assert cube(one_group, one_group.accuracies).shape[1] == 1


def test_jitter_is_the_noise_around_a_curve_that_bends_little() -> None:
    random = np.random.default_rng(0)
    smooth = np.tile(1 - 0.5 ** np.arange(1, 21), (400, 1))
    assert jitter(smooth) < 0.001
    assert jitter(smooth + 0.02 * random.standard_normal(smooth.shape)) == pytest.approx(
        0.02, rel=0.05
    )
    assert jitter(smooth[:, :4]) == 0


def test_luck_is_what_the_seed_does_to_one_setting_without_the_jitter(tmp_path: Path) -> None:
    path = tmp_path / "curves.parquet"
    write_recorded(path, groups=40, seeds=3, seed_std=0.2, gan_std=0.15, noise_std=0.01)
    of_trials = luck(read_curves(path))
    assert of_trials.deviations == pytest.approx([0.15] * EPOCHS, rel=0.3)
    assert of_trials.shared > 0.9
    without = luck(read_curves(write_recorded(path)))
    assert (without.deviations.tolist(), without.shared) == ([0] * EPOCHS, 0)


def test_the_mean_effect_of_other_seeds_is_removed(tmp_path: Path) -> None:
    curves = read_curves(write_recorded(tmp_path / "c.parquet", groups=3, seeds=2, seed_std=0.5))
    alike = without_seed_effects(curves)
    assert not np.allclose(curves.accuracies[:12], curves.accuracies[12:], atol=0.01)
    assert alike[12:] == pytest.approx(alike[:12], abs=1e-5)
    assert alike[:12] == pytest.approx(log_odds(curves)[:12])
