"""Prometheus' configuration, Grafana's board, and the program that runs both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from cluster.monitoring import start
from cluster.monitoring.start import (
    DISCOVERY,
    discovery_files,
    grafana_environment,
    prometheus_command,
    read_targets,
    write_targets,
)
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from support.grafana_board import BOARD, metric_names, queries
from support.ports import is_free, reserved_ports
from support.real_ray import ROOT, wait_until


def write_discovery(folder: Path, *targets: str) -> None:
    folder.mkdir(parents=True)
    text = json.dumps([{"labels": {"job": "ray"}, "targets": list(targets)}])
    (folder / DISCOVERY).write_text(text)


def test_the_clusters_of_searches_and_of_ray_start_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(start.tempfile, "gettempdir", lambda: str(tmp_path))
    assert list(discovery_files()) == []
    write_discovery(tmp_path / "adaptune-ray-x1" / "r", "127.0.0.2:3", "127.0.0.2:1")
    write_discovery(tmp_path / "ray", "10.0.0.1:2")
    assert read_targets(list(discovery_files())) == ["10.0.0.1:2", "127.0.0.2:1", "127.0.0.2:3"]


def test_disabled_and_vanished_targets_are_left_out(tmp_path: Path) -> None:
    write_discovery(tmp_path / "a", "127.0.0.2:-1", "127.0.0.2:1")
    (tmp_path / "damaged").write_text("[")
    files = [tmp_path / "a" / DISCOVERY, tmp_path / "damaged", tmp_path / "gone"]
    assert read_targets(files) == ["127.0.0.2:1"]


def test_prometheus_reads_the_targets_next_to_its_configuration(tmp_path: Path) -> None:
    command = prometheus_command(tmp_path, 9091)
    write_targets(tmp_path, ["127.0.0.2:1"])
    assert "--web.listen-address=127.0.0.1:9091" in command
    config = yaml.safe_load((tmp_path / "prometheus.yaml").read_text())
    [job] = config["scrape_configs"]
    [files] = [group["files"] for group in job["file_sd_configs"]]
    assert json.loads((tmp_path / files[0]).read_text()) == [{"targets": ["127.0.0.2:1"]}]


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("Prometheus is not installed")
    prometheus_command(tmp_path, 9091)
    write_targets(tmp_path, ["127.0.0.2:1"])
    check = [promtool, "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_grafana_finds_the_board_and_nobody_else_finds_grafana(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR", raising=False)
    variables = grafana_environment(tmp_path, 3001, 9091)
    assert variables["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert (Path(variables["ADAPTUNE_BOARDS"]) / "adaptune.json").samefile(BOARD)
    provisioning = Path(variables["GF_PATHS_PROVISIONING"])
    for file in provisioning.glob("*/*.yaml"):
        needed = [word[1:] for word in file.read_text().split() if word.startswith("$")]
        assert set(needed) <= variables.keys()
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    board = json.loads(BOARD.read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}


def test_the_panels_of_the_board_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(BOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken
                taken.add((x, y))


def test_promtool_accepts_the_queries_of_the_board(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("Prometheus is not installed")
    rules = [{"record": f"rule_{index}", "expr": query} for index, query in enumerate(queries())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    check = [promtool, "check", "rules", str(file)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def exporter() -> Iterator[str]:
    """Serve a metric as Ray does; yield the address."""
    registry = CollectorRegistry()
    gauge = Gauge("ray_adaptune_trials", "Trials by state", ["state"], registry=registry)
    gauge.labels("complete").set(3)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
def test_one_command_finds_a_cluster_that_starts_later_and_ends_with_ctrl_c(
    tmp_path: Path,
) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed")
    with reserved_ports() as ports, exporter() as target:
        folder = tmp_path / "monitoring"
        command = [sys.executable, "-m", "cluster.monitoring.start", "--folder", str(folder)]
        command += ["--prometheus-port", str(ports[0]), "--grafana-port", str(ports[1])]
        environment = os.environ | {"RAY_TMPDIR": str(tmp_path)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        address = f"http://127.0.0.1:{ports[0]}/api/v1/query?query=ray_adaptune_trials"

        def values() -> list[tuple[str, str]]:
            with suppress(OSError), urllib.request.urlopen(address) as response:
                result = json.load(response)["data"]["result"]
                return [(row["metric"]["state"], row["value"][1]) for row in result]
            return []

        try:
            wait_until((folder / "targets.json").exists, "the start", 60)
            write_discovery(tmp_path / "ray", target)
            wait_until(values, "the first value in Prometheus", 90)
            assert values() == [("complete", "3")]
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert f"Prometheus: http://127.0.0.1:{ports[0]}" in output.decode()
        assert is_free(ports[0])  # Prometheus has ended, too


def test_names_of_metrics_are_told_from_labels_and_functions() -> None:
    query = '60 * sum by (search) (rate(ray_a_total{search=~"$search", state="ray_b"}[5m])) + ray_c'
    assert metric_names(query) == {"ray_a_total", "ray_c"}
