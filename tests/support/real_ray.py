"""Searches on a real Ray cluster, started as a user starts them, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
ANSWER = "answer: "
ASKING = 3  # times: on a busy machine Ray's state API runs out of time now and then
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# Nodes end at once: nobody has to be told of it.
ENVIRONMENT = os.environ | {
    "RAY_AUTH_MODE": "disabled",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}
TIMES = {"wall_s", "device_s", "overhead_s", "checkpoint"}
# Ray's own, one a cluster, for the dashboard and for Ray Data: they outlive every job.
RAYS_OWN = ("TrainStateActor", "_AutoscalingCoordinatorActor")

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
    "evaluation.baselines": "false",
}


@dataclass
class Cluster:
    """A running cluster, and searches on it as a user starts them."""

    address: str
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def command(self, out: Path, name: str, *extra: str, **settings: Any) -> list[str]:
        chosen = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        script = [sys.executable, str(ROOT / "run_search.py"), "--space", "cycada.yaml"]
        return [
            *script,
            "--address",
            self.address,
            "--out",
            str(out),
            "--name",
            name,
            *sets,
            *extra,
        ]

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

    def adaptune(self, verb: str, *arguments: str | Path) -> str:
        """Run a verb that needs a cluster; returns what it printed."""
        script = Path(sys.executable).with_name("adaptune")
        done = subprocess.run(
            [script, verb, *arguments, "--address", self.address],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cpus(self) -> float:
        found: float = ask(self, "ray.cluster_resources().get('CPU', 0)")
        return found

    def start(self, out: Path, name: str, *extra: str, **settings: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(out, name, *extra, **settings),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text().splitlines()[-lines:]) if log.exists() else "(no log)"


def ask(cluster: Cluster, question: str, first: str = "") -> Any:
    """The value of a Python expression on a connection to the cluster.

    At hand are `ray`, and what is not gone: `actors()` and `groups()`.

    Args:
        first: statements to run before.
    """
    script = (
        "import json, os, time, ray; from ray.util.state import list_actors, list_placement_groups\n"
        f"ray.init('{cluster.address}', log_to_driver=False)\n"
        # Unfiltered, they would show a hundred, dead ones among them.
        "actors = lambda: list_actors(filters=[('state', '!=', 'DEAD')], limit=1000)\n"
        "groups = lambda: list_placement_groups(filters=[('state', '!=', 'REMOVED')], limit=1000)\n"
        f"{first}\n"
        f"print('{ANSWER}' + json.dumps({question}))"
    )
    # The state API asks the machine's newest cluster, not the one connected to, unless it is told.
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    for _ in range(1 if first else ASKING):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            # Ray prints its warnings of the cluster among our lines.
            return json.loads(
                next(line for line in done.stdout.splitlines() if line.startswith(ANSWER))[
                    len(ANSWER) :
                ]
            )
    raise AssertionError(f"the cluster does not answer: {done.stderr}")


def actors(cluster: Cluster, class_name: str) -> list[int]:
    """The process ids of the living actors of a class."""
    found: list[int] = ask(
        cluster,
        f"[a.pid for a in actors() if a.state == 'ALIVE' and {class_name!r} in a.class_name]",
    )
    return found


def kill_while_starting(cluster: Cluster, starting: str, victim: int | str) -> None:
    """SIGKILL a process at the moment when an actor of class `starting` is not yet up.

    Args:
        victim: its id, or the class name of its actor.
    """
    pid = (
        victim
        if isinstance(victim, int)
        else f"next(a.pid for a in actors() if a.class_name == {victim!r} and a.pid)"
    )
    waiting = (
        f"deadline = time.monotonic() + {START_TIMEOUT_S}\n"
        f"while not any(a.class_name == {starting!r} and a.state == 'PENDING_CREATION' for a in actors()):\n"
        "    assert time.monotonic() < deadline\n"
        "    time.sleep(0.05)\n"
    )
    ask(cluster, f"os.kill({pid}, {signal.SIGKILL:d})", waiting)


def trials_of(folder: Path) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.load_study(study_name=folder.name, storage=storage).get_trials(deepcopy=False)


def rows(folder: Path) -> list[dict[str, Any]]:
    """trials.parquet without what may differ from run to run."""
    return [
        {key: value for key, value in row.items() if key not in TIMES}
        for row in pq.read_table(folder / "trials.parquet").to_pylist()
    ]


def alive(cluster: Cluster) -> list[str]:
    """Actors and placement groups that are not gone."""
    left: list[str] = ask(
        cluster,
        f"[a.class_name for a in actors() if a.class_name not in {RAYS_OWN}] + [g.state for g in groups()]",
    )
    return left


def wait_for_the_end(cluster: Cluster) -> None:
    """Of all that a search had on the cluster."""
    left: list[str] = []

    def ended() -> bool:
        left[:] = alive(cluster)
        return not left

    try:
        wait_until(ended, "the end of all actors and placement groups")
    except AssertionError as error:
        raise AssertionError(f"{error}; left are {left}") from None


def start_node(
    *options: str, place: Sequence[str] = (), **environment: str
) -> subprocess.Popen[bytes]:
    """`ray start --block` with its processes in a group of their own; `place` is a command that runs it elsewhere."""
    return subprocess.Popen(
        [*place, *RAY, "start", "--block", *options],
        env=ENVIRONMENT | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop_node(node: subprocess.Popen[bytes]) -> None:
    if node.poll() is None:
        node.send_signal(signal.SIGTERM)
        node.wait(timeout=60)


def wait_until(
    happened: Callable[[], object], what: str, timeout_s: float = START_TIMEOUT_S
) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"in {timeout_s:.0f} s {what} did not happen"
        time.sleep(0.2)


def answers(address: str) -> bool:
    """Whether a cluster is up at the address."""
    status = [*RAY, "status", "--address", address]
    return subprocess.run(status, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0
