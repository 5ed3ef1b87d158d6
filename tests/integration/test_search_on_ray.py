"""Whole searches on a real Ray cluster, started as a user starts them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState
from support.real_ray import Cluster, rows, tail, trials_of, wait_for_the_end

from adaptune.artifacts.load import load_export

pytestmark = pytest.mark.ray
WAIT_S = 120.0


@pytest.fixture(scope="module")
def undisturbed(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("undisturbed")
    return out / "s", cluster.search(out, "s", "--trials", "5")


def test_the_default_execution_trains_on_two_ray_train_workers_and_exports_the_best(
    undisturbed: tuple[Path, dict[str, Any]],
) -> None:
    folder, summary = undisturbed
    assert (summary["execution"], summary["workers_per_trial"]) == ("ray_train", 2)
    assert summary["trials_total"] == 5
    assert summary["trials_failed"] == 0
    assert {(row["execution"], row["workers"]) for row in rows(folder)} == {("ray_train", 2)}
    assert load_export(folder / "best").class_names == tuple("0123456789")


def test_a_finished_search_leaves_no_actor_and_no_placement_group(
    cluster: Cluster, undisturbed: tuple[Path, dict[str, Any]]
) -> None:
    wait_for_the_end(cluster)


def test_the_doctor_looks_at_each_node(cluster: Cluster, tmp_path: Path) -> None:
    said = cluster.adaptune("doctor", "--out", tmp_path)
    assert re.search(r"^ok       node [\d.]+: 2 CPUs, 0 GPUs$", said, re.MULTILINE)
    assert not list(tmp_path.iterdir())


def test_the_same_seed_and_spec_give_the_same_trials(
    cluster: Cluster, undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    cluster.search(tmp_path, "s", "--trials", "5")
    assert rows(tmp_path / "s") == rows(undisturbed[0])


def test_a_killed_driver_is_resumed_to_the_same_trials(
    cluster: Cluster, undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    driver = cluster.start(tmp_path, "s", "--trials", "5")
    deadline = time.monotonic() + WAIT_S
    while not (folder / "trials.parquet").exists():  # written when the first trial ends
        assert driver.poll() is None, tail(folder / "ray.log")
        assert time.monotonic() < deadline
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    before = {t.number: t.datetime_complete for t in trials_of(folder) if t.state.is_finished()}

    cluster.search(tmp_path, "s", "--resume", "--trials", "5")

    after = trials_of(folder)
    assert [t.state for t in after if t.state == TrialState.RUNNING] == []
    assert before.items() <= {t.number: t.datetime_complete for t in after}.items()
    assert rows(folder) == rows(undisturbed[0])


def test_in_process_and_two_ray_train_workers_have_the_same_first_losses(
    cluster: Cluster, tmp_path: Path
) -> None:
    exact: dict[str, Any] = {
        "training__pool_size": 0,
        "model__classifier__dropout": 0,
        "training__epochs": 1,
    }
    cluster.search(tmp_path, "two", "--trials", "1", **exact)
    cluster.search(
        tmp_path,
        "one",
        "--trials",
        "1",
        execution="in_process",
        resources__workers_per_trial=1,
        **exact,
    )
    two, one = (
        pq.read_table(tmp_path / name / "epochs.parquet").to_pylist()[0] for name in ("two", "one")
    )
    losses = [key for key in one if key.startswith("loss/")]
    assert len(losses) >= 8
    assert {key: two[key] for key in losses} == pytest.approx(
        {key: one[key] for key in losses}, abs=1e-4
    )


def test_a_trial_whose_loss_is_not_finite_fails_with_step_and_term_and_the_search_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    summary = cluster.search(
        tmp_path,
        "s",
        "--trials",
        "3",
        training__init_gain="{search: choice, values: [0.05, 1.0e+30]}",  # overflows in the first forward pass
        search__start_points="[{training.init_gain: 1.0e+30}, {training.init_gain: 0.05}]",
    )
    first, *others = trials_of(tmp_path / "s")
    assert first.state == TrialState.FAIL
    assert "step" in first.user_attrs["error"]
    assert "term" in first.user_attrs["error"]
    assert summary["trials_total"] == 3
    assert any(trial.state != TrialState.FAIL for trial in others)


def test_each_process_of_a_search_asks_the_state_of_its_own_cluster(cluster: Cluster) -> None:
    script = (
        "import os, ray\n"
        "from adaptune.cluster.connection import joined\n"
        f"with joined({cluster.address!r}, 'own'):\n"
        "    told = ray.get(ray.remote(lambda: os.environ['RAY_ADDRESS']).remote())\n"
        "    assert told == ray.get_runtime_context().gcs_address, told\n"
    )
    environment = {key: value for key, value in cluster.environment.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
