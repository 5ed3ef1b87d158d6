"""What the workers of one lane hold, trial after trial: memory, files and threads should not grow.

    python benchmarks/lane_endurance.py [--trials 200]

Short trials of the default search's networks on one Ray Train lane of two workers.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from proc import Held, held_by

from adaptune.cluster.connection import joined, node_resources, redirect_output
from adaptune.cluster.placement import plan_placement
from adaptune.data.splits import load_splits
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import claim
from adaptune.search.driver import run_search
from adaptune.spec import load

SHORT = [
    "training.epochs=1",
    "training.steps_per_epoch=3",
    "training.source.steps=20",
    "search.scheduler=none",
    "search.sampler=random",
    "evaluation.yardsticks=false",
    "resources.workers_per_trial=2",
    "resources.max_concurrent=1",
]


def begun(folder: ResultsFolder) -> int:
    """How many trials have a folder by now."""
    trials = folder.path / "trials"
    return len(list(trials.iterdir())) if trials.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as out,
        redirect_output(Path(out) / "ray.log") as console,
        joined(None, "bench"),
    ):
        spec = load("cycada.yaml", [*SHORT, f"search.trials={chosen.trials}", f"storage.out={out}"])
        folder = claim(spec, resume=False)
        seen: dict[int, dict[int, Held]] = {}  # by trials begun, then by pid
        done = threading.Event()

        def watch() -> None:
            while not done.wait(1.0):
                seen[begun(folder)] = held_by("ray::RayTrainWorker") or seen.get(begun(folder), {})

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            plan, splits = (
                plan_placement(spec, node_resources(spec.resources)),
                load_splits(spec.data, spec.seed),
            )
            run_search(spec, splits, plan, folder, console, since=time.perf_counter())
        finally:
            done.set()
            watcher.join()
        pids = {pid for workers in seen.values() for pid in workers}
        console.print(f"\n{len(pids)} worker processes for {chosen.trials} trials")
        for pid in sorted(pids):
            curve = {
                count: workers[pid]
                for count, workers in seen.items()
                if pid in workers and count > 0
            }
            for count in sorted(
                {min(curve), min((c for c in curve if c >= 20), default=min(curve)), max(curve)}
            ):
                held = curve[count]
                console.print(
                    f"worker {pid} at trial {count:>4}: {held.own_mb:6.0f} MB of its own,"
                    f" {held.files} files, {held.threads} threads"
                )
            later = [held.own_mb for count, held in curve.items() if count >= 20]
            if later:
                console.print(
                    f"worker {pid} after trial 20: {min(later):.0f} to {max(later):.0f} MB"
                )


if __name__ == "__main__":
    main()
