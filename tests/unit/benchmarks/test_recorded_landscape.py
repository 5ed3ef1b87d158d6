from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from curve_table import read_curves
from fake_tune import FakeTune
from recorded_landscape import RecordedLandscape
from scipy.special import logit
from search_quality import find_landscape, run_task
from searches import IN_GROUPS, RANDOM, RAY, SEARCHES, make_spec
from support.recorded_curves import EPOCHS, GROUP_SIZE, IMAGES, true_accuracy, write_recorded

SETTINGS = {
    "loss_weights.cycle": 2.0,
    "loss_weights.semantic": 0.3,
    "loss_weights.feature": 0.5,
    "loss_weights.information": 1.0,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curves")
    return write_recorded(folder / "digits.parquet", seeds=2, gan_std=0.15, noise_std=0.005)


@pytest.fixture(scope="module")
def landscape(path: Path) -> RecordedLandscape:
    return RecordedLandscape(path)


def test_a_setting_has_about_the_curve_of_its_recorded_neighbours(
    path: Path, landscape: RecordedLandscape
) -> None:
    accuracies = [landscape.true_accuracy(SETTINGS, epoch) for epoch in range(1, EPOCHS + 1)]
    expected = [true_accuracy(SETTINGS, epoch) for epoch in range(1, EPOCHS + 1)]
    assert accuracies == pytest.approx(expected, abs=0.04)
    assert landscape.final(SETTINGS) == max(accuracies)
    assert landscape.best > landscape.final(SETTINGS | {"loss_weights.cycle": 10.0}) + 0.05
    for values in read_curves(path).values:
        assert landscape.final(values) <= landscape.best


def test_noise_and_luck_are_those_that_were_recorded(landscape: RecordedLandscape) -> None:
    random = np.random.default_rng(0)
    reports = [landscape.accuracy(SETTINGS, EPOCHS, random) for _ in range(500)]
    assert np.std(reports) == pytest.approx(0.005, rel=0.25)
    assert {round(report * IMAGES, 6) % 1 for report in reports} == {0.0}
    lucky, usual = (landscape.true_accuracy(SETTINGS, EPOCHS, effect) for effect in (1.0, 0.0))
    assert logit(lucky) - logit(usual) == pytest.approx(0.15, rel=0.5)
    assert landscape.shared_luck > 0.9


def test_a_search_has_the_space_the_epochs_and_the_share_of_the_recording(
    path: Path, landscape: RecordedLandscape
) -> None:
    spec = make_spec(3, landscape=landscape)
    assert dict(spec.space) == dict(read_curves(path).recipe.spec().space)
    assert (spec.seed, spec.epochs) == (3, EPOCHS)
    search = SEARCHES[RANDOM + IN_GROUPS](1, landscape)
    run = FakeTune(landscape, search, 1, 1, landscape.classifier_share).run()
    assert run.reports[0].spent == pytest.approx((1 - 0.5) + GROUP_SIZE * 0.5)


def test_searches_of_recorded_curves_are_found_by_their_file(path: Path) -> None:
    run = run_task((path, RAY, 0, math.inf))
    assert run.proposals == 64
    assert all(math.isfinite(report.regret) for report in run.reports)
    assert find_landscape(path).name == "digits"
    assert find_landscape("smooth").name == "smooth"


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_runs_on_recorded_curves(landscape: RecordedLandscape, name: str) -> None:
    last = FakeTune(landscape, SEARCHES[name](1, landscape), 1, 40, 0.5).run().reports[-1]
    assert last.spent >= 40
    assert last.regret < 0.2
