from __future__ import annotations

import math
import sys
from io import StringIO
from pathlib import Path

import curve_facts
import numpy as np
import pytest
from curve_facts import (
    agreement,
    agreement_in_groups,
    agreement_interval,
    agreement_of_seeds,
    importance,
    kendall,
    print_facts,
)
from curve_table import Curves, read_curves
from rich.console import Console
from support.recorded_curves import EPOCHS, write_recorded


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_facts, "_RESAMPLES", 20)


def curves_of(folder: Path, **options: float) -> Curves:
    return read_curves(write_recorded(folder / "digits.parquet", **options))  # type: ignore[arg-type]


def test_kendall_is_undefined_for_ties_only() -> None:
    first = np.array([0.1, 0.2, 0.3])
    assert kendall(first, first) == 1
    assert kendall(first, -first) == -1
    assert math.isnan(kendall(first, np.ones(3)))


def test_curves_that_do_not_cross_rank_the_end_at_once(tmp_path: Path) -> None:
    curves = curves_of(tmp_path)
    first = curves.accuracies[:, 0]
    assert agreement(curves, first) == pytest.approx(1, abs=0.01)
    assert agreement(curves, -curves.losses[:, 0]) == pytest.approx(1, abs=0.01)
    assert agreement_in_groups(curves, first) == pytest.approx(1, abs=0.01)
    assert agreement_interval(curves, first) == pytest.approx((1, 1), abs=0.01)


def test_an_epoch_of_noise_does_not_rank_the_end(tmp_path: Path) -> None:
    curves = curves_of(tmp_path)
    noise = np.random.default_rng(0).standard_normal(len(curves.accuracies))
    low, high = agreement_interval(curves, noise)
    assert low < agreement(curves, noise) < high
    assert abs(agreement(curves, noise)) < 0.25
    assert abs(agreement_in_groups(curves, noise)) < 0.4


def test_seeds_and_groups_are_ranked_apart(tmp_path: Path) -> None:
    curves = curves_of(tmp_path, seeds=2, seed_std=0.5)
    reversed_seeds = curves.accuracies[:, -1] - 10 * curves.seeds
    assert agreement(curves, reversed_seeds) == pytest.approx(1, abs=0.01)
    reversed_groups = curves.accuracies[:, -1] - 10 * curves.groups
    assert agreement(curves, reversed_groups) < 0.5
    assert agreement_in_groups(curves, reversed_groups) == pytest.approx(1, abs=0.01)


def test_seeds_agree_as_far_as_their_noise_lets_them(tmp_path: Path) -> None:
    alike = agreement_of_seeds(curves_of(tmp_path, seeds=2, seed_std=0.1))
    assert alike == pytest.approx(1, abs=0.01)
    noisy = agreement_of_seeds(curves_of(tmp_path, seeds=3, noise_std=0.1))
    assert noisy is not None
    assert noisy < 0.7
    assert agreement_of_seeds(curves_of(tmp_path, seeds=1)) is None


def test_the_settings_that_decide_are_important(tmp_path: Path) -> None:
    shares = importance(curves_of(tmp_path), "Gaussian process")
    assert shares["loss_weights.cycle"] > shares["loss_weights.feature"] > 0.1
    assert max(shares["loss_weights.semantic"], shares["loss_weights.information"]) < 0.05
    assert sum(shares.values()) == pytest.approx(1, abs=0.1)


def test_all_facts_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recorded(tmp_path / "digits.parquet", groups=4, seeds=2, noise_std=0.01)
    text = StringIO()
    print_facts(path, Console(file=text, width=140))
    printed = text.getvalue()
    assert "digits: 32 trials of 4 groups, seeds [0, 1], 0 failed" in printed
    assert "Shares of the variance of log odds, 4 groups under all seeds" in printed
    assert "τ between the ends of two seeds:" in printed
    assert (
        len([line for line in printed.splitlines() if line.strip().startswith(f"{EPOCHS} ")]) == 2
    )
    write_recorded(path, groups=4)
    monkeypatch.setattr(sys, "argv", ["curve_facts.py", str(path)])
    curve_facts.main()


def test_one_group_is_too_few(tmp_path: Path) -> None:
    path = write_recorded(tmp_path / "one.parquet", groups=1)
    with pytest.raises(SystemExit, match="has one group"):
        print_facts(path, Console())


def test_the_share_of_the_seed_needs_two_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_facts(write_recorded(tmp_path / "one.parquet", groups=3), Console(width=140))
    assert "The share of the seed is unknown" in capsys.readouterr().out
