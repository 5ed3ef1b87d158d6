from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn
from curve_surrogate import MODELS, Surrogate, best_model, explained, left_out, left_out_by_all
from curve_table import Curves, read_curves
from curve_variance import log_odds
from scipy.special import expit, logit
from support.recorded_curves import EPOCHS, true_accuracy, write_recorded


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Curves:
    folder = tmp_path_factory.mktemp("curves")
    return read_curves(write_recorded(folder / "curves.parquet", noise_std=0.01))


def test_the_gaussian_process_explains_most_of_a_smooth_accuracy(curves: Curves) -> None:
    predictions = left_out_by_all(curves)
    r2 = explained(log_odds(curves), predictions["Gaussian process"])
    assert r2.shape == (EPOCHS,)
    assert r2.min() > 0.6
    assert best_model(curves, predictions) == "Gaussian process"


@pytest.mark.parametrize("model", MODELS)
def test_a_group_is_predicted_without_its_own_curves(curves: Curves, model: str) -> None:
    changed = curves.accuracies.copy()
    changed[curves.groups == 3] += 0.3
    others = Curves(**(vars(curves) | {"accuracies": changed}))
    before, after = left_out(curves, model), left_out(others, model)
    assert after[curves.groups == 3] == pytest.approx(before[curves.groups == 3])
    assert not np.allclose(after, before)


def test_other_packages_may_switch_on_the_routing_of_metadata(curves: Curves) -> None:
    expected = left_out(curves, "nearest neighbour")
    with sklearn.config_context(enable_metadata_routing=True):  # skada does so when it is imported
        assert np.array_equal(left_out(curves, "nearest neighbour"), expected)


def test_an_effect_of_the_seed_does_not_disturb_the_model(tmp_path: Path) -> None:
    path = write_recorded(tmp_path / "curves.parquet", seeds=2, seed_std=0.2)
    surrogate = Surrogate(read_curves(path), "Gaussian process")
    one_seed = write_recorded(tmp_path / "one.parquet", seeds=1)
    expected = Surrogate(read_curves(one_seed), "Gaussian process")
    values = {
        "loss_weights.cycle": 1.0,
        "loss_weights.semantic": 0.3,
        "loss_weights.feature": 0.3,
        "loss_weights.information": 1.0,
    }
    first_seed_effect = 0.2 * np.random.default_rng(0).standard_normal()
    under_first_seed = expit(logit(expected.at(values)) + first_seed_effect)
    assert surrogate.at(values) == pytest.approx(under_first_seed, abs=0.02)
    assert expected.at(values)[-1] == pytest.approx(true_accuracy(values, EPOCHS), abs=0.02)


def test_the_highest_accuracy_is_that_of_the_best_setting(curves: Curves) -> None:
    highest = Surrogate(curves, "Gaussian process").highest(curves.values)
    assert highest == pytest.approx(0.9, abs=0.02)
    assert highest >= max(Surrogate(curves, "Gaussian process").at(curves.values[0]))


def test_nothing_is_explained_by_the_mean_and_all_by_the_truth(curves: Curves) -> None:
    accuracies = curves.accuracies
    means = np.broadcast_to(accuracies.mean(axis=0), accuracies.shape)
    assert explained(accuracies, means) == pytest.approx([0.0] * EPOCHS, abs=1e-9)
    assert explained(accuracies, accuracies).tolist() == [1.0] * EPOCHS
    assert np.isnan(explained(np.ones((3, 1)), np.ones((3, 1)))).all()
