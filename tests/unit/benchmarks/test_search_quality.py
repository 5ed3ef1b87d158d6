from __future__ import annotations

import math
from io import StringIO

import pytest
from landscapes import EPOCHS, LANDSCAPES
from rich.console import Console
from search_quality import (
    FakeTrial,
    FakeTune,
    Regrets,
    Runs,
    budget_shares,
    make_result,
    mean_curve,
    print_table,
)
from searches import ADAPTUNE, NO_ASHA, RANDOM, RAY, SEARCHES, TRIALS, TRIALS_WITH_ASHA


@pytest.mark.slow
@pytest.mark.parametrize("name", [RAY, ADAPTUNE, RANDOM, NO_ASHA])
def test_every_search_ends_with_a_small_regret_without_noise(name: str) -> None:
    regrets = FakeTune(LANDSCAPES[0], SEARCHES[name](1), 1).run()
    assert regrets[-1] < 0.2
    trials = {RAY: TRIALS, NO_ASHA: TRIALS}.get(name, TRIALS_WITH_ASHA)
    trained_all_epochs = len(regrets) == trials * EPOCHS
    assert trained_all_epochs == (name == NO_ASHA)


def test_a_result_serves_rays_classes_and_ours() -> None:
    result = make_result(FakeTrial("a", {}, EPOCHS), 0.5)
    assert (result["training_iteration"], result["epoch"]) == (EPOCHS, EPOCHS)
    assert (result["objective"], result["done"]) == (0.5, True)
    assert make_result(FakeTrial("a", {}), 0.5)["done"] is False


def runs_of_three() -> dict[str, list[Regrets]]:
    return {
        RAY: [[0.4, 0.2, 0.2, 0.1]] * 2,
        ADAPTUNE: [[0.3, 0.0], [0.3, 0.2]],
        RANDOM: [[0.4, 0.3]] * 2,
    }


def test_the_share_of_the_budget_is_where_the_mean_regret_reaches_rays() -> None:
    runs = runs_of_three()
    assert mean_curve(runs[ADAPTUNE]) == pytest.approx([0.3, 0.1])
    shares = budget_shares(runs)
    assert [row.search for row in shares] == [RAY, ADAPTUNE, RANDOM]
    assert [row.regret for row in shares] == pytest.approx([0.1, 0.1, 0.3])
    assert [row.share for row in shares] == [1.0, 0.5, math.inf]


def test_a_run_that_ended_keeps_its_last_regret() -> None:
    assert mean_curve([[0.4], [0.2, 0.1, 0.0]]) == pytest.approx([0.3, 0.25, 0.2])


def test_the_table_has_one_row_per_landscape_and_search() -> None:
    text = StringIO()
    runs: Runs = [runs_of_three() for _ in LANDSCAPES]
    shares = print_table(runs, Console(file=text, width=120))
    assert shares == [0.5] * len(LANDSCAPES)
    rows = [line for line in text.getvalue().splitlines() if "adaptune" in line]
    assert len(rows) == 2 * len(LANDSCAPES)
    assert rows[0].split() == ["smooth", *ADAPTUNE.split(), "0.1000", "0.50"]
    assert rows[1].split()[-3:] == ["0.3000", "not", "reached"]
