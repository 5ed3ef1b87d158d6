"""What a trial costs beside its training and evaluation: our lanes against the official nested pattern.

    python benchmarks/trial_overhead.py [--trials 6]

All three run the same short trials of the default search, one at a time, on this machine. The nested
pattern is Ray's documented one: a Tune function that starts a TorchTrainer, whose epochs come back
through TuneReportCallback.
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

from adaptune.cluster.connection import joined, node_resources, redirect_output
from adaptune.cluster.placement import plan_placement
from adaptune.data.splits import load_splits
from adaptune.results.lifecycle import claim
from adaptune.search.driver import run_search
from adaptune.spec import SearchSpec, load
from adaptune.training.loop import fit

SHORT = [
    "training.epochs=2",
    "training.steps_per_epoch=10",
    "training.source.steps=20",
    "search.scheduler=none",
    "evaluation.yardsticks=false",
]


def lane_overheads(
    execution: str, workers: int, trials: int, out: Path, console: Console
) -> list[float]:
    """Seconds a trial of a search, by its own ledger; without the first, which warms the lane."""
    settings = [
        f"execution={execution}",
        f"resources.workers_per_trial={workers}",
        "resources.max_concurrent=1",
    ]
    spec = load(
        "cycada.yaml",
        [*SHORT, *settings, f"search.trials={trials}", f"name={execution}", f"storage.out={out}"],
    )
    plan = plan_placement(spec, node_resources(spec.resources))
    folder = claim(spec, resume=False)
    run_search(
        spec, load_splits(spec.data, spec.seed), plan, folder, console, since=time.perf_counter()
    )
    rows = pq.read_table(folder.path / "trials.parquet").to_pylist()
    return [row["overhead_s"] for row in rows][1:]


def nested_overheads(trials: int, out: Path) -> list[float]:
    """Seconds a trial of the nested pattern; without the first."""
    spec = load("cycada.yaml", SHORT)
    data = load_splits(spec.data, spec.seed).trial
    weights = torch.load(out / "source.pt")
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
        # A Result has the metrics of its checkpoint only, and there is none here; rank 0's return value it has.
        tune.report({"overhead_s": time.perf_counter() - start - result.return_value})

    tuner = tune.Tuner(
        tune.with_resources(trial, tune.PlacementGroupFactory([{"node:__internal_head__": 0.001}])),
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(name="nested", storage_path=str(out / "tune"), verbose=0),
    )
    start = time.perf_counter()
    results = tuner.fit()
    for error in results.errors:
        raise error
    print(f"nested: {trials} trials in {time.perf_counter() - start:.1f} s")
    return [result.metrics["overhead_s"] for result in results][1:]


def _nested_worker(config: dict[str, Any]) -> float:
    torch.set_num_threads(1)
    spec: SearchSpec
    spec, data, weights = ray.get(config["shared"][0])
    busy = 0.0
    for record in fit(spec.trial({}, seed=config["number"]), data, weights, device=get_device()):
        busy += record["train_s"] + record["eval_s"]
        train.report(
            {"epoch": record["epoch"], "target_val_accuracy": record["target_val_accuracy"]}
        )
    return busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    trials: int = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        with redirect_output(out / "ray.log") as console, joined(None, "benchmark"):
            lanes = {
                "ray_train lane": lane_overheads("ray_train", 2, trials, out, console),
                "in-process lane": lane_overheads("in_process", 1, trials, out, console),
            }
            _save_source_weights(out)
            nested = nested_overheads(trials, out)
            reference = statistics.median(nested)
            console.print(f"{'nested pattern':<16} median overhead {reference:7.2f} s a trial")
            for name, seconds in lanes.items():
                median = statistics.median(seconds)
                console.print(
                    f"{name:<16} median overhead {median:7.2f} s a trial, 1/{reference / median:.0f} of nested"
                )


def _save_source_weights(out: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(next((out / ".cache").glob("*.safetensors"))), out / "source.pt")


if __name__ == "__main__":
    main()
