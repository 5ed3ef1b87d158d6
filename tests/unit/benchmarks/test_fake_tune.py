from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
from fake_tune import FakeTune, Run, make_trial_result
from landscapes import EPOCHS, LANDSCAPES, WITHHELD_LANDSCAPES, Landscape
from searches import CURVES, IN_GROUPS, NO_ASHA, RANDOM, RAY, SEARCHES, TRIALS


def run(name: str, landscape: int = 0, budget: float = 120, share: float = 0.0) -> Run:
    return FakeTune(LANDSCAPES[landscape], SEARCHES[name](1), 1, budget, share).run()


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_ends_with_the_budget_and_a_smaller_regret_without_noise(name: str) -> None:
    result = run(name)
    assert 120 <= result.reports[-1].spent < 125
    assert result.reports[-1].regret < 0.3
    assert result.reports[-1].regret <= result.reports[0].regret
    assert result.searcher_s > 0


@pytest.mark.slow
def test_rays_search_ends_with_its_trials() -> None:
    result = run(RAY, budget=math.inf)
    assert result.proposals == TRIALS
    assert result.reports[-1].spent == len(result.reports) < TRIALS * EPOCHS


def test_a_search_without_early_stopping_trains_all_epochs() -> None:
    result = run(NO_ASHA, budget=4 * EPOCHS)
    assert (result.proposals, len(result.reports)) == (4, 4 * EPOCHS)


def test_an_epoch_of_a_group_takes_longer_by_the_share_of_its_classifiers() -> None:
    result = run(RANDOM + IN_GROUPS, budget=1, share=0.25)
    assert result.reports[0].spent == 0.75 + 4 * 0.25
    assert run(RANDOM, budget=1, share=0.25).reports[0].spent == 1


def test_failures_end_trials_and_the_groups_of_failed_ones() -> None:
    for name in (RANDOM, RANDOM + IN_GROUPS):
        result = run(name, landscape=3, budget=60)
        assert all(math.isfinite(report.regret) for report in result.reports)


def test_the_model_of_a_short_trial_has_a_larger_regret_than_its_settings() -> None:
    first, *_ = run(CURVES, budget=1).reports
    assert first.model_regret > first.regret


def test_the_luck_of_a_seed_belongs_to_the_model_and_not_to_its_settings() -> None:
    search = SEARCHES[NO_ASHA](1)
    last = FakeTune(WITHHELD_LANDSCAPES[2], search, 1, 4 * EPOCHS).run().reports[-1]
    assert last.regret > 0
    assert last.model_regret != pytest.approx(last.regret, abs=0.005)


def test_trials_of_a_group_share_a_part_of_their_luck() -> None:
    tune = FakeTune(WITHHELD_LANDSCAPES[2], SEARCHES[NO_ASHA](1), 1)
    assert tune._seed_effect(3, gan=0) != tune._seed_effect(4, gan=0)
    with mock.patch.object(Landscape, "shared_luck", 1.0):
        assert tune._seed_effect(3, gan=0) == tune._seed_effect(4, gan=0)
        assert tune._seed_effect(3, gan=0) != tune._seed_effect(3, gan=3)
    pairs = []
    with mock.patch.object(Landscape, "shared_luck", 0.5):
        for gan in range(0, 900, 3):
            pairs.append([tune._seed_effect(gan + 1, gan), tune._seed_effect(gan + 2, gan)])
    effects = np.array(pairs)
    assert np.corrcoef(effects.T)[0, 1] == pytest.approx(0.5, abs=0.15)
    assert effects.std() == pytest.approx(1, abs=0.1)


def test_a_result_serves_rays_classes_and_ours() -> None:
    last = make_trial_result(EPOCHS, 0.5)
    assert (last.objective, last.done, last.error) == (0.5, True, None)
    assert not make_trial_result(1, 0.5).done
    assert make_trial_result(4, 0.5, epochs=4).done
    failed = make_trial_result(2, math.nan)
    assert (failed.record, failed.done, failed.error) == (None, True, "nan")
