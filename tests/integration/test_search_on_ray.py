"""Whole searches on a real Ray cluster, started as a user starts them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
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
FIVE_TRIALS = ("--trials", "5")
# Without randomness that depends on the number of workers.
EXACT = {"training__pool_size": 0, "model__classifier__dropout": 0, "training__epochs": 1}
# The first value overflows in the first forward pass.
OVERFLOWING = {
    "training__init_gain": "{search: choice, values: [0.05, 1.0e+30]}",
    "search__start_points": "[{training.init_gain: 1.0e+30}, {training.init_gain: 0.05}]",
}
STATE_API_SCRIPT = """
import os, ray
from adaptune.cluster.connection import connect
with connect("{address}", "own"):
    address = ray.get(ray.remote(lambda: os.environ["RAY_ADDRESS"]).remote())
    assert address == ray.get_runtime_context().gcs_address, address
"""


@pytest.fixture(scope="module")
def undisturbed(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ResultsFolder, dict[str, Any]]:
    """A search of five trials that nothing happened to: its folder and its summary."""
    out = tmp_path_factory.mktemp("undisturbed")
    return ResultsFolder(out / "s"), cluster.search(out, "s", *FIVE_TRIALS)


def test_a_search_trains_on_two_ray_train_workers_per_trial_and_exports_the_best(
    undisturbed: tuple[ResultsFolder, dict[str, Any]],
) -> None:
    folder, summary = undisturbed
    assert (summary["execution"], summary["workers_per_trial"]) == ("ray_train", 2)
    assert summary["trials_total"] == 5
    assert summary["trials_failed"] == 0
    rows = trial_rows(folder.path)
    assert {(row["execution"], row["workers"]) for row in rows} == {("ray_train", 2)}
    assert load_export(folder.best).class_names == tuple("0123456789")


def test_trials_run_side_by_side_by_default(cluster: Cluster, tmp_path: Path) -> None:
    summary = cluster.search(tmp_path, "s", *FIVE_TRIALS, resources__workers_per_trial="auto")
    assert (summary["execution"], summary["workers_per_trial"]) == ("ray_train", 1)
    assert summary["trials_failed"] == 0
    first, second, *_ = trials_of(tmp_path / "s")
    assert first.datetime_complete is not None
    assert second.datetime_start is not None
    assert second.datetime_start < first.datetime_complete


@pytest.mark.usefixtures("undisturbed")
def test_a_finished_search_leaves_no_actor_and_no_placement_group(cluster: Cluster) -> None:
    wait_for_cleanup(cluster)


def test_the_doctor_checks_each_node(cluster: Cluster, tmp_path: Path) -> None:
    output = cluster.adaptune("doctor", "--out", tmp_path)
    assert re.search(r"^ok       node [\d.]+: 2 CPUs, 0 GPUs$", output, re.MULTILINE)
    assert not list(tmp_path.iterdir())


def test_the_same_seed_and_spec_give_the_same_trials(
    cluster: Cluster, undisturbed: tuple[ResultsFolder, dict[str, Any]], tmp_path: Path
) -> None:
    cluster.search(tmp_path, "s", *FIVE_TRIALS)
    assert trial_rows(tmp_path / "s") == trial_rows(undisturbed[0].path)


def test_a_killed_driver_is_resumed_to_the_same_trials(
    cluster: Cluster, undisturbed: tuple[ResultsFolder, dict[str, Any]], tmp_path: Path
) -> None:
    folder = ResultsFolder(tmp_path / "s")
    driver = cluster.start(tmp_path, "s", *FIVE_TRIALS)

    def has_ended_a_trial() -> bool:
        assert driver.poll() is None, tail(folder.log)
        return folder.trials_table.exists()

    wait_until(has_ended_a_trial, "the end of the first trial")
    driver.kill()
    driver.wait()
    before = {
        trial.number: trial.datetime_complete
        for trial in trials_of(folder.path)
        if trial.state.is_finished()
    }

    assert before
    cluster.search(tmp_path, "s", "--resume", *FIVE_TRIALS)

    trials = trials_of(folder.path)
    after = {trial.number: trial.datetime_complete for trial in trials}
    assert TrialState.RUNNING not in {trial.state for trial in trials}
    assert before.items() <= after.items()
    assert trial_rows(folder.path) == trial_rows(undisturbed[0].path)


def test_in_process_and_two_ray_train_workers_have_the_same_first_losses(
    cluster: Cluster, tmp_path: Path
) -> None:
    losses = {}
    for name, settings in (("two", {}), ("one", IN_PROCESS)):
        cluster.search(tmp_path, name, "--trials", "1", **EXACT, **settings)
        [row] = pq.read_table(tmp_path / name / "epochs.parquet").to_pylist()
        losses[name] = {key: value for key, value in row.items() if key.startswith("loss/")}
    assert len(losses["one"]) >= 8
    assert losses["two"] == pytest.approx(losses["one"], abs=1e-4)


def test_a_trial_whose_loss_is_not_finite_fails_with_step_and_term_and_the_search_continues(
    cluster: Cluster, tmp_path: Path
) -> None:
    summary = cluster.search(tmp_path, "s", "--trials", "3", **OVERFLOWING, **IN_PROCESS)
    first, *others = trials_of(tmp_path / "s")
    assert first.state == TrialState.FAIL
    assert "step" in first.user_attrs["error"]
    assert "term" in first.user_attrs["error"]
    assert summary["trials_total"] == 3
    assert any(trial.state != TrialState.FAIL for trial in others)


def test_each_process_of_a_search_asks_the_state_of_its_own_cluster(cluster: Cluster) -> None:
    script = STATE_API_SCRIPT.format(address=cluster.address)
    environment = {key: value for key, value in cluster.environment.items() if key != "RAY_ADDRESS"}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
