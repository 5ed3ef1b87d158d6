"""One search as Prometheus, Ray's dashboard, MLflow, W&B and a webhook see it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster.monitoring.start import prometheus_command, write_targets
from support.grafana_board import metric_names, queries
from support.local_search import TRIALS, LocalSearch
from support.observed_search import Observer, Seen
from support.ports import reserved_ports
from support.ray_nodes import folder_for_ray
from support.real_ray import SEARCH_TIMEOUT_S, tail, trials_of
from support.webhook import open_webhook

from adaptune.cluster.local_ray import METRICS_SWITCH
from adaptune.version import __version__

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
POLL_S = 0.5
METRICS_INTERVAL = "RAY_metrics_report_interval_ms"
# What Ray's nodes export if they have GPUs.
GPU_METRICS = {"ray_node_gram_used"}


@dataclass
class Observed:
    """A search that has ended, and what others have of it."""

    folder: Path
    summary: dict[str, Any]
    seen: Seen
    messages: list[dict[str, Any]]
    output: str
    mlflow: str


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Run Debian's Prometheus, which scrapes every second; yield its address."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed")
    with reserved_ports() as ports:
        command = prometheus_command(folder, ports[0])
        config = folder / "prometheus.yaml"
        config.write_text(config.read_text().replace("10s", "1s").replace("5s", "1s"))
        write_targets(folder, [])
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{ports[0]}"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    pytest.importorskip("mlflow")
    pytest.importorskip("wandb")
    monitoring = tmp_path_factory.mktemp("monitoring")
    address = f"sqlite:///{monitoring / 'mlflow.db'}"
    with (
        folder_for_ray("m.") as folder,
        pytest.MonkeyPatch.context() as patch,
        open_webhook() as webhook,
        prometheus(monitoring) as server,
    ):
        patch.setenv(METRICS_SWITCH, "1")
        patch.setenv(METRICS_INTERVAL, "1000")
        patch.setenv("CHAT_WEBHOOK", webhook.address)
        patch.chdir(monitoring)  # MLflow keeps artifacts there
        search = LocalSearch(
            folder,
            search__scheduler="none",
            evaluation__baselines="true",
            tracking__mlflow=address,
            tracking__wandb="offline",
            tracking__notify="CHAT_WEBHOOK",
        )
        search.start()
        try:
            observer = Observer(search, server)
            deadline = time.monotonic() + SEARCH_TIMEOUT_S
            while search.driver.poll() is None:
                assert time.monotonic() < deadline
                search.note_processes()
                write_targets(monitoring, observer.targets())
                observer.look()
                time.sleep(POLL_S)
            status, output, error = search.end()
            assert (status, error) == (0, ""), tail(search.results / "ray.log")
            summary = json.loads((search.results / "summary.json").read_text())
            yield Observed(
                search.results, summary, observer.seen, webhook.messages, output, address
            )
        finally:
            search.kill()


def test_the_dashboard_names_search_runners_and_trials(observed: Observed) -> None:
    seen = observed.seen
    metadata = {"search": "s", "job_name": "s", "adaptune": __version__}
    assert seen.metadata.items() >= metadata.items()
    assert "s runner" in seen.actors
    coordinators = [name for name in seen.actors if name and name.endswith("-coordinator")]
    assert coordinators
    assert all(name.startswith("s-runner-") for name in coordinators)
    assert seen.train_runs
    assert all(name.startswith("s-runner-") for name in seen.train_runs)
    trials = {name for name in seen.tasks if name.startswith("trial ")}
    assert trials == {f"trial {number}" for number in range(observed.summary["trials_total"])}
    assert "(its token: ray get-auth-token)" in observed.output


def test_prometheus_has_the_figures_of_the_summary(observed: Observed) -> None:
    series, summary = observed.seen.series, observed.summary
    assert series["ray_adaptune_trials complete"] == summary["trials_complete"] == TRIALS
    assert series["ray_adaptune_trials failed"] == summary["trials_failed"] == 0
    assert series["ray_adaptune_trials running"] == series["ray_adaptune_trials queued"] == 0
    assert series["ray_adaptune_best_objective"] == summary["target_val_accuracy"]
    unhealthy = sum(summary["trials_unhealthy"].values())
    assert series["ray_adaptune_unhealthy_trials"] == unhealthy
    for fate in ("useful", "pruned", "failed", "overhead"):
        value = series[f"ray_adaptune_device_seconds {fate}"]
        assert value == pytest.approx(summary[f"device_s_{fate}"])
    epochs = sum(trial.last_step or 0 for trial in trials_of(observed.folder))
    assert series["ray_adaptune_epochs_total"] == epochs


def test_the_queries_of_the_board_name_metrics_that_a_search_exposes(observed: Observed) -> None:
    names = set().union(*map(metric_names, queries()))
    assert names - GPU_METRICS <= observed.seen.exposed
    own = {name for name in observed.seen.exposed if name.startswith("ray_adaptune_")}
    assert own <= names  # the board shows all of them


def test_mlflow_has_the_figures_of_the_summary_and_the_export(observed: Observed) -> None:
    import mlflow

    client = mlflow.MlflowClient(observed.mlflow)
    experiment = client.get_experiment_by_name("adaptune")
    runs = client.search_runs([experiment.experiment_id])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    for name, value in parent.data.metrics.items():
        assert observed.summary[name] == pytest.approx(value)
    assert parent.data.metrics.keys() >= {"target_val_accuracy", "trials_total", "wall_s"}
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"best", "report.html", "search.yaml", "summary.json"}
    assert len(runs) == 1 + observed.summary["trials_total"]
    best = max(run.data.metrics["best_objective"] for run in runs if run is not parent)
    assert best == observed.summary["target_val_accuracy"]
    pictures = client.list_artifacts(runs[0].info.run_id, "translations")
    assert [Path(file.path).name for file in pictures]


def test_wandb_has_the_figures_of_the_summary(observed: Observed) -> None:
    from support.wandb_files import read_offline_runs

    runs = read_offline_runs(observed.folder).values()
    [of_search] = [run for run in runs if run.kind == "search"]
    assert of_search.summary["target_val_accuracy"] == observed.summary["target_val_accuracy"]
    assert of_search.summary["trials_total"] == observed.summary["trials_total"]
    assert "s-best" in of_search.artifacts
    of_trials = [run for run in runs if run.kind == "trial"]
    assert len(of_trials) == observed.summary["trials_total"]
    best = max(run.summary["best_objective"] for run in of_trials)
    assert best == observed.summary["target_val_accuracy"]


def test_the_webhook_gets_one_message_and_its_address_is_in_no_file(observed: Observed) -> None:
    [message] = observed.messages
    assert message["status"] == "finished"
    assert message["figures"]["target_val_accuracy"] == observed.summary["target_val_accuracy"]
    assert observed.summary["verdict"] in message["text"]
    for file in observed.folder.rglob("*"):
        if file.is_file():
            assert b"hunter2" not in file.read_bytes(), file
