"""Overhead of a trial besides training and evaluation: our runners against the nested pattern.

    python benchmarks/trial_overhead.py [--trials 6]

All of them run the same short trials on handwritten digits, one at a time, on this machine. The
nested pattern is the one of Ray's documentation: a Tune function that starts a TorchTrainer, whose
epochs come back through TuneReportCallback.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import ray
import torch
from ray import train, tune
from ray.train.torch import TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback
from rich.console import Console
from safetensors.torch import load_file

from adaptune import load_spec, run_search
from adaptune.cluster.connection import connect
from adaptune.cluster.output import redirect_output
from adaptune.data.splits import load_splits
from adaptune.spec import SearchSpec
from adaptune.training.loop import fit

SHORT = [
    "training.epochs=2",
    "training.steps_per_epoch=10",
    "training.source.steps=20",
    "search.scheduler=none",
    "evaluation.baselines=false",
]
DRIVER_BUNDLE = {"node:__internal_head__": 0.001}


def runner_overheads(execution: str, workers: int, trials: int, out: Path) -> list[float]:
    """Return the seconds per trial by the search's own table, without the first trial.

    The first trial starts the worker group.
    """
    overrides = [
        f"execution={execution}",
        f"resources.workers_per_trial={workers}",
        "resources.max_concurrent=1",
        f"search.trials={trials}",
        f"name={execution}",
        f"storage.out={out}",
    ]
    result = run_search(load_spec("mnist_optdigits.yaml", [*SHORT, *overrides]))
    rows = pq.read_table(result.folder / "trials.parquet").to_pylist()
    return [row["overhead_s"] for row in rows][1:]


def nested_overheads(trials: int, out: Path, console: Console) -> list[float]:
    """Return the seconds per trial of the nested pattern, without the first trial."""
    spec = load_spec("mnist_optdigits.yaml", SHORT)
    data = load_splits(spec.data, spec.seed).trial
    weights = load_file(next((out / ".cache").glob("*.safetensors")))
    shared = ray.put((spec, data, weights))

    def trial(config: dict[str, Any]) -> None:
        start = time.perf_counter()
        result = TorchTrainer(
            _nested_worker,
            train_loop_config={"shared": [shared], "number": config["number"]},
            scaling_config=train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=train.RunConfig(
                name=f"nested-{config['number']}",
                storage_path=str(out / "train"),
                callbacks=[TuneReportCallback()],
            ),
        ).fit()
        # A Result has the metrics of its checkpoint only, and there is none here. It does have the
        # return value of rank 0.
        tune.report({"overhead_s": time.perf_counter() - start - result.return_value})

    tuner = tune.Tuner(
        tune.with_resources(trial, tune.PlacementGroupFactory([DRIVER_BUNDLE])),
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(name="nested", storage_path=str(out / "tune"), verbose=0),
    )
    start = time.perf_counter()
    results = tuner.fit()
    for error in results.errors:
        raise error
    console.print(f"nested: {trials} trials in {time.perf_counter() - start:.1f} s")
    return [result.metrics["overhead_s"] for result in results][1:]


def _nested_worker(config: dict[str, Any]) -> float:
    torch.set_num_threads(1)
    spec: SearchSpec
    spec, data, weights = ray.get(config["shared"][0])
    trial_spec = spec.trial({}, seed=config["number"])
    active_s = 0.0
    for record in fit(trial_spec, data, weights, device=get_device()):
        active_s += record.active_s
        accuracy = record.target_val_accuracy
        train.report({"epoch": record.epoch, "target_val_accuracy": accuracy})
    return active_s


def main() -> None:
    """Run the three and print their medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=6)
    trials: int = parser.parse_args().trials
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        runners = {
            "Ray Train runner": runner_overheads("ray_train", 2, trials, out),
            "in-process runner": runner_overheads("in_process", 1, trials, out),
        }
        with redirect_output(out / "ray.log") as terminal, connect(None, "benchmark"):
            nested = nested_overheads(trials, out, terminal)
    reference = statistics.median(nested)
    console.print(f"{'nested pattern':<17} median overhead {reference:7.2f} s per trial")
    for name, seconds in runners.items():
        median = statistics.median(seconds)
        console.print(
            f"{name:<17} median overhead {median:7.2f} s per trial,"
            f" 1/{reference / median:.0f} of nested"
        )


if __name__ == "__main__":
    main()
