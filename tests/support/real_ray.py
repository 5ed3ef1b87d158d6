"""Searches on a real Ray cluster, started as a user starts them, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 180.0  # half a minute if the machine is idle
SEARCH_TIMEOUT_S = 300.0
ANSWER = "answer: "
ATTEMPTS = 3  # on a busy machine Ray's state API times out now and then
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# Nodes end at once: they have nobody to notify.
ENVIRONMENT = os.environ | {
    "RAY_AUTH_MODE": "disabled",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}
# Columns of trials.parquet that differ between two runs of one search.
VARYING = {"wall_s", "device_s", "overhead_s", "checkpoint"}
# Ray's own actors, one per cluster, for the dashboard and for Ray Data: they outlive every job.
RAYS_OWN_ACTORS = ("TrainStateActor", "_AutoscalingCoordinatorActor")

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
    "model.generator.factor": 4,
    "model.discriminator.width": 4,
    "search.startup_trials": 2,
    "search.start_points": "[]",
    "search.classifiers_per_gan": 1,
    "search.scheduler": "{name: asha, grace_epochs: 1, reduction_factor: 4}",
    "evaluation.baselines": "false",
    "resources.workers_per_trial": 2,
}
# Trials in processes of their own start in half the time of worker groups.
IN_PROCESS = {"execution": "in_process", "resources__workers_per_trial": 1}


def search_command(out: Path, name: str, *extra: str, **settings: Any) -> list[str]:
    """Return the command of a small search; settings override keys, with `__` for a dot."""
    values = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
    command = [sys.executable, str(ROOT / "run_search.py"), "--space", "mnist_optdigits.yaml"]
    command += ["--out", str(out), "--name", name]
    for key, value in values.items():
        command += ["--set", f"{key}={value}"]
    return [*command, *extra]


@dataclass
class Cluster:
    """A running cluster, and searches on it."""

    address: str
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def search(self, out: Path, name: str, *extra: str, **settings: Any) -> dict[str, Any]:
        """Run a search to its end; return its summary."""
        process = self._run(self._command(out, name, *extra, **settings))
        output = process.stdout + process.stderr
        assert process.returncode == 0, output + tail(out / name / "ray.log")
        summary: dict[str, Any] = json.loads((out / name / "summary.json").read_text())
        return summary

    def start(
        self, out: Path, name: str, *extra: str, output: Path = Path(os.devnull), **settings: Any
    ) -> subprocess.Popen[bytes]:
        """Start a search; return its driver.

        Args:
            output: file that gets what the search prints, after what is there.
        """
        with output.open("ab") as file:
            return subprocess.Popen(
                self._command(out, name, *extra, **settings),
                env=self.environment,
                stdout=file,
                stderr=file,
            )

    def adaptune(self, command: str, *arguments: str | Path) -> str:
        """Run a command of adaptune that needs a cluster; return its output."""
        script = Path(sys.executable).with_name("adaptune")
        process = self._run([str(script), command, *map(str, arguments), "--address", self.address])
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def cpus(self) -> float:
        """Return the CPUs of all living nodes."""
        cpus: float = evaluate(self, "ray.cluster_resources().get('CPU', 0)")
        return cpus

    def _command(self, out: Path, name: str, *extra: str, **settings: Any) -> list[str]:
        return search_command(out, name, "--address", self.address, *extra, **settings)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SEARCH_TIMEOUT_S,
            check=False,
        )


def tail(log: Path, lines: int = 40) -> str:
    """Return the end of a log file, for the message of a failed assertion."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text().splitlines()[-lines:])


def evaluate(cluster: Cluster, expression: str, setup: str = "") -> Any:
    """Return the value of a Python expression in a process that is connected to the cluster.

    The expression can use `ray`, `actors()` and `groups()`: those that are not dead or removed.

    Args:
        setup: statements to run before.
    """
    script = (
        "import json, os, time, ray\n"
        "from ray.util.state import list_actors, list_placement_groups\n"
        f"ray.init('{cluster.address}', log_to_driver=False)\n"
        # Without a filter they would list a hundred at most, with dead ones among them.
        "actors = lambda: list_actors(filters=[('state', '!=', 'DEAD')], limit=1000)\n"
        "groups = lambda: list_placement_groups(filters=[('state', '!=', 'REMOVED')], limit=1000)\n"
        f"{setup}\n"
        f"print('{ANSWER}' + json.dumps({expression}))"
    )
    # Without an address, the state API asks the newest cluster on the machine.
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    for _ in range(1 if setup else ATTEMPTS):
        process = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode == 0:
            lines = process.stdout.splitlines()  # Ray's warnings are among them
            answer = next(line for line in lines if line.startswith(ANSWER))
            return json.loads(answer.removeprefix(ANSWER))
    raise AssertionError(f"the cluster does not answer: {process.stderr}")


def actors(cluster: Cluster, class_name: str) -> list[int]:
    """Return the process ids of the living actors of a class."""
    is_alive = f"actor.state == 'ALIVE' and {class_name!r} in actor.class_name"
    pids: list[int] = evaluate(cluster, f"[actor.pid for actor in actors() if {is_alive}]")
    return pids


def kill_while_starting(cluster: Cluster, starting: str, victim: int | str) -> None:
    """SIGKILL a process at a moment when an actor of the class `starting` has not started yet.

    Args:
        victim: id of the process, or the class name of its actor.
    """
    pid = str(victim)
    if isinstance(victim, str):
        is_victim = f"actor.class_name == {victim!r} and actor.pid"
        pid = f"next(actor.pid for actor in actors() if {is_victim})"
    is_starting = f"actor.class_name == {starting!r} and actor.state == 'PENDING_CREATION'"
    wait = (
        f"deadline = time.monotonic() + {START_TIMEOUT_S}\n"
        f"while not any({is_starting} for actor in actors()):\n"
        "    assert time.monotonic() < deadline\n"
        "    time.sleep(0.05)\n"
    )
    evaluate(cluster, f"os.kill({pid}, {signal.SIGKILL:d})", wait)


def trials_of(folder: Path) -> list[FrozenTrial]:
    """Return the trials in the journal of a results folder."""
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.load_study(study_name=folder.name, storage=storage).get_trials(deepcopy=False)


def trial_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of trials.parquet without the columns that differ between runs."""
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    for row in rows:
        for column in VARYING:
            row.pop(column, None)
    return rows


def remaining(cluster: Cluster) -> list[str]:
    """Return the classes of living actors and the states of placement groups of searches."""
    names: list[str] = evaluate(
        cluster,
        f"[actor.class_name for actor in actors() if actor.class_name not in {RAYS_OWN_ACTORS}]"
        " + [group.state for group in groups()]",
    )
    return names


def wait_for_cleanup(cluster: Cluster) -> None:
    """Wait until nothing of a search is left on the cluster."""
    left: list[str] = []

    def is_clean() -> bool:
        left[:] = remaining(cluster)
        return not left

    try:
        wait_until(is_clean, "the end of all actors and placement groups")
    except AssertionError as error:
        raise AssertionError(f"{error}; left are {left}") from None


def wait_until(
    happened: Callable[[], object],
    event: str,
    timeout_s: float = START_TIMEOUT_S,
    interval_s: float = 0.2,
) -> None:
    """Wait until a function returns something true.

    Args:
        event: description of it, for the message if it does not happen in time.
        interval_s: pause between two calls of the function.
    """
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"in {timeout_s:.0f} s {event} did not happen"
        time.sleep(interval_s)
