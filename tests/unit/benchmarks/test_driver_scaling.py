from __future__ import annotations

from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from driver_scaling import Cost, SimulatedTuner, print_costs, simulated_run
from ray import tune
from rich.console import Console

from adaptune.search.driver import run_trials


def test_a_simulated_search_ends_with_all_its_trials(tmp_path: Path) -> None:
    run = simulated_run("random", 70, tmp_path)
    with mock.patch.object(tune, "Tuner", SimulatedTuner):
        run_trials(run)
    trials = run.study.started_trials()
    assert len(trials) == 70
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert run.folder.trials_table.exists()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_costs_are_compared_with_those_of_fewer_trials(sampler: str) -> None:
    text = StringIO()
    costs = [Cost(sampler, 1000, 8.0, 30.0), Cost(sampler, 10_000, 10.0, 25.0)]
    print_costs(costs, Console(file=text, width=120))
    first, second = text.getvalue().splitlines()
    assert first.endswith(" 1000 trials:    8.0 ms of CPU time and   30 kB per trial")
    assert second.endswith("   25 kB per trial; 1.25 × the time of 1000")
