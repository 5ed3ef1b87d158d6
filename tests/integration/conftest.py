"""One Ray cluster for all integration tests: two instances on a host would break each other's clean-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PORT = 6397
ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
SMALL = {
    "data.source.limit": 300,
    "data.target.limit": 300,
    "training.epochs": 3,
    "training.steps_per_epoch": 3,
    "training.batch_size": 8,
    "training.source.steps": 20,
    "training.pool_size": 4,
    "model.generator.width": 8,
    "model.generator.blocks": 1,
    "model.discriminator.width": 4,
    "search.startup_trials": 2,
    "search.start_points": "[]",
    "evaluation.yardsticks": "false",
}


@dataclass
class Cluster:
    """A running cluster, and searches on it as a user starts them."""

    address: str
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, out: Path, name: str, *extra: str, **settings: Any) -> list[str]:
        chosen = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        script = [sys.executable, str(ROOT / "run_search.py"), "--space", "cycada.yaml"]
        return [*script, "--address", self.address, "--out", str(out), "--name", name, *sets, *extra]

    def search(self, out: Path, name: str, *extra: str, **settings: Any) -> dict[str, Any]:
        """Run a search to its end; returns its summary."""
        done = subprocess.run(
            self.command(out, name, *extra, **settings),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + tail(out / name / "ray.log")
        summary: dict[str, Any] = json.loads((out / name / "summary.json").read_text())
        return summary

    def start(self, out: Path, name: str, *extra: str, **settings: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(out, name, *extra, **settings),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text().splitlines()[-lines:]) if log.exists() else "(no log)"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    address = f"127.0.0.1:{PORT}"
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    options = ["--head", "--block", "--num-cpus=2", f"--port={PORT}", "--dashboard-host=127.0.0.1"]
    head = subprocess.Popen(
        [*ray, "start", *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_up(head, [*ray, "status", "--address", address], environment)
        yield Cluster(address, environment)
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)


def _wait_until_up(head: subprocess.Popen[bytes], status: list[str], environment: dict[str, str]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while subprocess.run(status, env=environment, capture_output=True, check=False).returncode:
        assert head.poll() is None, "the Ray head ended"
        assert time.monotonic() < deadline, "the Ray head did not come up"
        time.sleep(0.5)
