from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
import search_quality
from fake_tune import Report, Run
from landscapes import LANDSCAPES
from rich.console import Console
from search_quality import compare, format_share, print_table, regret_curves, share_to_reach
from searches import ADAPTUNE, CURVES, RAY


def make_run(*regrets: float, step: float = 1.0) -> Run:
    """A search whose reports come at equal distances; its models are worse by 0.5."""
    reports = []
    for index, regret in enumerate(regrets, start=1):
        reports.append(Report(index * step, regret, regret + 0.5))
    return Run(reports, proposals=2, searcher_s=0.01)


def runs_of_three() -> dict[str, list[Run]]:
    return {
        RAY: [make_run(0.4, 0.2, 0.2, 0.1)] * 2,
        CURVES: [make_run(0.3, 0.0), make_run(0.3, 0.2)],
        ADAPTUNE: [make_run(0.4, 0.3)] * 2,
    }


def test_regrets_are_known_from_the_first_report_and_stay_after_the_last() -> None:
    [curve] = regret_curves([make_run(0.4, 0.2, step=1.5)], 4)
    assert curve.tolist() == [1.0, 0.4, 0.2, 0.2]
    [model] = regret_curves([make_run(0.4, 0.2)], 3, of_model=True)
    assert model.tolist() == pytest.approx([0.9, 0.7, 0.7])


def test_the_share_is_where_the_mean_regret_reaches_rays() -> None:
    comparisons = compare(runs_of_three())
    assert [row.search for row in comparisons] == [RAY, CURVES, ADAPTUNE]
    assert [row.regret for row in comparisons] == pytest.approx([0.1, 0.1, 0.3])
    assert [row.model_regret for row in comparisons] == pytest.approx([0.6, 0.6, 0.8])
    assert [row.share for row in comparisons] == [1.0, 0.5, math.inf]
    assert [row.proposal_s for row in comparisons] == pytest.approx([0.005] * 3)
    assert share_to_reach(regret_curves([make_run(0.4, 0.2)], 2)[0], 0.2, 8) == 0.25


def test_a_regret_that_rises_again_has_not_reached_the_goal() -> None:
    [lucky] = regret_curves([make_run(0.1, 0.3, 0.1)], 4)
    assert share_to_reach(lucky, 0.2, 4) == 0.75
    [unlucky] = regret_curves([make_run(0.1, 0.3)], 2)
    assert share_to_reach(unlucky, 0.2, 4) == math.inf
    [good] = regret_curves([make_run(0.1)], 1)
    assert share_to_reach(good, 1.0, 4) == 0.25


def test_the_interval_is_that_of_resampled_seeds() -> None:
    _, curves, adaptune = compare(runs_of_three())
    assert curves.interval == (0.5, math.inf)  # with the second seed only, it is never reached
    assert adaptune.interval == (math.inf, math.inf)


def test_the_table_has_one_row_per_landscape_and_search() -> None:
    text = StringIO()
    runs = {name: runs_of_three() for name in ("smooth", "noisy")}
    assert print_table(runs, Console(file=text, width=140)) == [0.5, 0.5]
    rows = [line for line in text.getvalue().splitlines() if CURVES in line]
    assert [row.split() for row in rows] == [
        [name, CURVES, "0.1000", "0.6000", "0.50", "0.50", "to", "–", "5"]
        for name in ("smooth", "noisy")
    ]
    assert format_share(0.256) == "0.26"


def test_recorded_curves_take_the_place_of_the_landscapes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Sequence[str | Path]] = []

    def run_all(sources: Sequence[str | Path], *_: object) -> dict[str, dict[str, list[Run]]]:
        asked.append(sources)
        return {"digits": runs_of_three()}

    monkeypatch.setattr(search_quality, "run_all", run_all)
    monkeypatch.setattr(sys, "argv", ["search_quality.py", "--recorded", "digits.parquet"])
    search_quality.main()
    monkeypatch.setattr(sys, "argv", ["search_quality.py"])
    search_quality.main()
    assert asked == [[Path("digits.parquet")], [landscape.name for landscape in LANDSCAPES]]
    assert "digits" in capsys.readouterr().out
