"""Memory, files and threads of one worker group over many trials: they should not grow.

    python benchmarks/worker_endurance.py [--trials 200]

Short trials of small networks on one group of two Ray Train workers.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

from processes import Usage, usage_of
from rich.console import Console

from adaptune import load_spec, run_search

SHORT = [
    "training.epochs=1",
    "training.steps_per_epoch=3",
    "training.source.steps=20",
    "search.scheduler=none",
    "search.sampler=random",
    "evaluation.baselines=false",
    "resources.workers_per_trial=2",
    "resources.max_concurrent=1",
]
SETTLED_AT_TRIAL = 20
SAMPLE_INTERVAL_S = 1.0
Samples = dict[int, dict[int, Usage]]  # by number of trials begun, then by process id


def main() -> None:
    """Run the search and print what its workers held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    trials: int = parser.parse_args().trials
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as out:
        overrides = [*SHORT, f"search.trials={trials}", f"storage.out={out}"]
        spec = load_spec("mnist_optdigits.yaml", overrides)
        samples: Samples = {}
        done = threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLE_INTERVAL_S):
                workers = usage_of("ray::RayTrainWorker")
                if workers:
                    samples[trials_begun(Path(out) / spec.name)] = workers

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            run_search(spec)
        finally:
            done.set()
            thread.join()
    print_usage(samples, trials, console)


def trials_begun(folder: Path) -> int:
    """Return how many trials have a folder by now."""
    trials = folder / "trials"
    return len(list(trials.iterdir())) if trials.exists() else 0


def print_usage(samples: Samples, trials: int, console: Console) -> None:
    """Print the usage of each worker at its first, its settled and its last trial."""
    process_ids = sorted({process_id for workers in samples.values() for process_id in workers})
    console.print(f"\n{len(process_ids)} worker processes for {trials} trials")
    for process_id in process_ids:
        curve = {}
        for count, workers in samples.items():
            if process_id in workers and count > 0:
                curve[count] = workers[process_id]
        settled = [count for count in curve if count >= SETTLED_AT_TRIAL]
        for count in sorted({min(curve), min(settled, default=min(curve)), max(curve)}):
            usage = curve[count]
            console.print(
                f"worker {process_id} at trial {count:>4}: {usage.private_mb:6.0f} MB of its own,"
                f" {usage.files} files, {usage.threads} threads"
            )
        if settled:
            memory = [curve[count].private_mb for count in settled]
            console.print(
                f"worker {process_id} from trial {SETTLED_AT_TRIAL} on:"
                f" {min(memory):.0f} to {max(memory):.0f} MB"
            )


if __name__ == "__main__":
    main()
