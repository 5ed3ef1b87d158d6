"""Run Prometheus, and Grafana if it is installed, for the Ray clusters on this machine.

`python -m cluster.monitoring.start` runs until Ctrl-C, and finds searches that start later. Both
programs listen on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
DISCOVERY = "prom_metrics_service_discovery.json"  # Ray writes it: the addresses of its nodes
DEFAULT_FOLDER = Path.home() / ".cache" / "adaptune" / "monitoring"
GRAFANA_HOME = Path("/usr/share/grafana")
INTERVAL_S = 5.0
END_TIMEOUT_S = 10.0


def discovery_files() -> Iterator[Path]:
    """Yield the files with the addresses of the Ray clusters on this machine."""
    for parent in dict.fromkeys([os.environ.get("RAY_TMPDIR", "/tmp"), tempfile.gettempdir()]):
        yield from sorted(Path(parent).glob(f"adaptune-ray-*/r/{DISCOVERY}"))  # of a local search
        yield from Path(parent).glob(f"ray/{DISCOVERY}")  # of `ray start`
        yield from Path(parent).glob(DISCOVERY)


def read_targets(files: Sequence[Path]) -> list[str]:
    """Return the addresses in discovery files; a file that has just gone has none."""
    targets: set[str] = set()
    for file in files:
        try:
            groups = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for group in groups:
            # Metrics that are switched off have the port -1.
            targets.update(target for target in group["targets"] if not target.endswith(":-1"))
    return sorted(targets)


def write_targets(folder: Path, targets: Sequence[str]) -> None:
    """Write targets.json, which Prometheus reads whenever it changes."""
    draft = folder / "targets.json.part"
    draft.write_text(json.dumps([{"targets": list(targets)}]), encoding="utf-8")
    draft.replace(folder / "targets.json")


def prometheus_command(folder: Path, port: int) -> list[str]:
    """Return the command that runs Prometheus on a copy of our configuration."""
    config = folder / "prometheus.yaml"
    shutil.copyfile(HERE / "prometheus.yaml", config)
    return [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def grafana_environment(folder: Path, port: int, prometheus_port: int) -> dict[str, str]:
    """Return the variables that give Grafana our boards, Ray's boards and the data."""
    boards = os.environ.get("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR", folder / "ray-boards")
    Path(boards).mkdir(parents=True, exist_ok=True)
    return {
        "ADAPTUNE_PROMETHEUS": f"http://127.0.0.1:{prometheus_port}",
        "ADAPTUNE_BOARDS": str(HERE / "grafana" / "dashboards"),
        "RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR": str(boards),
        "GF_PATHS_PROVISIONING": str(HERE / "grafana"),
        "GF_PATHS_DATA": str(folder / "grafana"),
        "GF_PATHS_LOGS": str(folder / "grafana"),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_SECURITY_ALLOW_EMBEDDING": "true",  # Ray's Metrics tab shows Grafana in frames
    }


def run(folder: Path, prometheus_port: int, grafana_port: int) -> None:
    """Run both programs until Ctrl-C or the end of Prometheus."""
    folder.mkdir(parents=True, exist_ok=True)
    write_targets(folder, [])
    with ExitStack() as stack:
        prometheus = _start(stack, prometheus_command(folder, prometheus_port))
        print(f"Prometheus: http://127.0.0.1:{prometheus_port}")
        if shutil.which("grafana-server"):
            variables = grafana_environment(folder, grafana_port, prometheus_port)
            _start(stack, ["grafana-server", f"--homepath={GRAFANA_HOME}"], variables)
            print(f"Grafana: http://127.0.0.1:{grafana_port}/d/adaptune")
        else:
            print("Grafana is not installed: no board")
        known: list[str] = []
        while prometheus.poll() is None:
            targets = read_targets(list(discovery_files()))
            if targets != known:
                write_targets(folder, targets)
                print(f"{len(targets)} address(es) with metrics", flush=True)
                known = targets
            time.sleep(INTERVAL_S)
        print(f"Prometheus ended with status {prometheus.returncode}", file=sys.stderr)


def _start(
    stack: ExitStack, command: Sequence[str], variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, env=os.environ | dict(variables or {}))
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="for their data")
    parser.add_argument("--prometheus-port", type=int, default=9090)
    parser.add_argument("--grafana-port", type=int, default=3000)
    options = parser.parse_args()
    if not shutil.which("prometheus"):
        sys.exit("Prometheus is not installed: `apt-get install prometheus`, for example")
    with suppress(KeyboardInterrupt):
        run(options.folder, options.prometheus_port, options.grafana_port)


if __name__ == "__main__":
    main()
