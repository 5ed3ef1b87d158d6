"""A search with trial groups that is killed again and again."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from support.failing_calls import FailingCalls, Failure, ProcessKilled
from support.file_calls import FileCalls
from support.searched_folder import SearchWithoutRay, make_spec, outcome, resume_and_compare

from adaptune.results.folder import results_folder
from adaptune.spec.schema import SearchSpec

KILLS = 10
GROUPS: dict[str, Any] = {"trials": 6, "startup_trials": 3, "classifiers_per_gan": 3}
FEATURE = {"search": "uniform", "low": 0.1, "high": 1.0}


def make_groups(out: Path) -> SearchSpec:
    return make_spec(out, search=GROUPS, loss_weights={"feature": FEATURE})


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> SearchWithoutRay:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = SearchWithoutRay()
    search.install(monkeypatch)
    return search


def kill_at(search: SearchWithoutRay, spec: SearchSpec, call: int) -> bool:
    """Run the search until a file call, with which its process is killed; False if it ended."""
    calls = FailingCalls(call, Failure.KILL, 0)
    folder = results_folder(spec.name, spec.storage).path
    with pytest.MonkeyPatch.context() as patch, suppress(ProcessKilled):
        FileCalls(folder.parent, calls).install(patch)
        search.run(spec)
    return calls.failed is not None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_ten_kills_leave_the_result_of_the_undisturbed_search(
    tmp_path: Path, search: SearchWithoutRay, seed: int
) -> None:
    undisturbed = make_groups(tmp_path / "undisturbed")
    search.run(undisturbed)
    expected = outcome(undisturbed)
    assert [row["group"] for row in expected.trials] == [0, 0, 0, 3, 3, 3]
    assert {row["state"] for row in expected.trials} == {"COMPLETE", "PRUNED"}
    disturbed = make_groups(tmp_path / "disturbed")
    choice = random.Random(seed)
    kills = sum(kill_at(search, disturbed, choice.randint(20, 90)) for _ in range(KILLS))
    assert kills > 5
    assert resume_and_compare(search, disturbed, expected) == []
