"""Searches whose trials share a GAN, on a real Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from support.real_ray import (
    IN_PROCESS,
    Cluster,
    tail,
    trial_rows,
    trials_of,
    wait_for_cleanup,
    wait_until,
)

from adaptune.artifacts.load import load_export
from adaptune.results.folder import ResultsFolder

pytestmark = pytest.mark.ray
# Six trials in two groups; a rung after each epoch stops some trials of a group early.
GROUPS: dict[str, Any] = {
    "search__trials": 6,
    "search__classifiers_per_gan": 3,
    "search__scheduler": "{name: asha, grace_epochs: 1, reduction_factor: 2}",
}
RUNNERS = {"in_process": IN_PROCESS, "ray_train": {"execution": "ray_train"}}


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_killed_search_with_groups_ends_like_an_undisturbed_one(
    cluster: Cluster, tmp_path: Path, runner: str
) -> None:
    settings = GROUPS | RUNNERS[runner]
    settings |= {"resources__workers_per_trial": 1, "resources__max_concurrent": 1}
    cluster.search(tmp_path, "undisturbed", **settings)
    expected = trial_rows(tmp_path / "undisturbed")
    assert [row["group"] for row in expected] == [0, 0, 0, 3, 3, 3]
    assert {row["state"] for row in expected} == {"COMPLETE", "PRUNED"}

    folder = ResultsFolder(tmp_path / "s")
    driver = cluster.start(tmp_path, "s", **settings)

    def has_stopped_a_trial() -> bool:
        assert driver.poll() is None, tail(folder.log)
        if not folder.journal.exists():
            return False
        return TrialState.PRUNED in {trial.state for trial in trials_of(folder.path)}

    wait_until(has_stopped_a_trial, "the end of the first trial")
    driver.kill()
    driver.wait()
    wait_for_cleanup(cluster)
    summary = cluster.search(tmp_path, "s", "--resume", **settings)
    assert summary["trials_failed"] == 0
    assert trial_rows(folder.path) == expected
    assert load_export(folder.best).class_names == tuple("0123456789")
    checkpoints = [
        file.parent.parent.name for file in folder.path.glob("trials/*/checkpoints/*.pt")
    ]
    assert set(checkpoints) == {"0", "3"}
