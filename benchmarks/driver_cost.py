"""Cost of a finished trial for the driver, over closed-form trials.

    python benchmarks/driver_cost.py [--trials 1000] [--concurrency 64]

No trial trains: a Tune actor answers at once, so that nearly all of the time is Ray's and our own
bookkeeping in Tune, the searcher, ASHA and the study.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import ray
from processes import memory_mb
from rich.console import Console

from adaptune.cluster.connection import ENVIRONMENT
from adaptune.cluster.nodes import ClusterCapacity
from adaptune.cluster.output import redirect_output
from adaptune.cluster.placement import plan_placement
from adaptune.cluster.tasks import ClusterTasks
from adaptune.data.splits import load_splits
from adaptune.execution.base import SharedRefs
from adaptune.results.lifecycle import create_or_resume
from adaptune.search.driver import SearchRun, run_trials
from adaptune.search.protocol import GroupConfig, GroupResult, TrialResult
from adaptune.search.trainable import TrialTrainable
from adaptune.spec import SearchSpec, load_spec
from adaptune.study.objective import ENSEMBLE_VALIDATORS
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.study.wall_clock import WallClock
from adaptune.training.identity import TrialInputs
from adaptune.training.record import EpochRecord

EPOCHS = 9
MEMORY_INTERVAL_S = 2.0


class ClosedFormTrainable(TrialTrainable):
    """A trial that is best at cycle 3 and improves with each epoch."""

    def setup(self, config: dict[str, object], context: object) -> None:
        """Begin the first trial."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Begin another trial."""
        [trial] = GroupConfig.from_tune(new_config).trials
        self._number = trial.number
        cycle = trial.values["loss_weights.cycle"]
        assert isinstance(cycle, float)
        self._ceiling = math.exp(-(math.log(cycle / 3) ** 2) / 8)
        self._epoch = 0
        return True

    def step(self) -> dict[str, object]:
        """Report the next epoch."""
        self._epoch += 1
        accuracy = self._ceiling * (1 - 0.5**self._epoch)
        record = EpochRecord(
            epoch=self._epoch,
            train_s=0.0,
            eval_s=0.0,
            source_val_accuracy=accuracy,
            target_val_accuracy=accuracy,
            target_val_loss=1.0,
            validators=dict.fromkeys(ENSEMBLE_VALIDATORS, accuracy),
        )
        done = self._epoch == EPOCHS
        result = TrialResult(record, accuracy, done=done)
        return GroupResult({self._number: result}, done=done).to_tune()

    def cleanup(self) -> None:
        """Do nothing."""


@dataclass
class MemoryWatch:
    """Memory of this process while a search runs, in MB by the number of finished trials."""

    study: SearchStudy
    samples: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take samples until the end of the block."""
        done = threading.Event()

        def sample() -> None:
            while not done.wait(MEMORY_INTERVAL_S):
                trials = self.study.started_trials()
                finished = sum(trial.state.is_finished() for trial in trials)
                self.samples[finished] = memory_mb()

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def closed_form_run(spec: SearchSpec, concurrency: int, lines: Console) -> SearchRun:
    """Return a search on the local Ray instance, without a source classifier."""
    folder = create_or_resume(spec, resume=False)
    plan = plan_placement(spec, [{"CPU": float(concurrency)}])
    capacity = ClusterCapacity(plan)
    study = open_study(spec, folder.journal)
    return SearchRun(
        spec=spec,
        splits=load_splits(spec.data, spec.seed),
        plan=plan,
        folder=folder,
        console=lines,
        study=study,
        clock=WallClock(study, time.perf_counter()),
        tasks=ClusterTasks(plan, capacity),
        capacity=capacity,
        source_weights={},
        source_classifier_s=0.0,
        shared=SharedRefs(ray.put(None), ray.put(None)),
        inputs=TrialInputs(data="", source_classifier=""),
    )


def print_costs(memory: MemoryWatch, trials: int, cpu_s: float, console: Console) -> None:
    """Print the driver's CPU time per trial, and how its memory grew."""
    console.print(f"driver's CPU time per trial: {1e3 * cpu_s / trials:.1f} ms")
    after_a_tenth = []
    for finished, memory_in_mb in memory.samples.items():
        if finished >= trials // 10:
            after_a_tenth.append(memory_in_mb)
    if after_a_tenth:
        console.print(
            f"driver's memory after a tenth of the trials: {after_a_tenth[0]:.0f} MB;"
            f" after that at most {max(after_a_tenth):.0f} MB"
        )


def main() -> None:
    """Run the search and print its cost per trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out, redirect_output(Path(out) / "ray.log") as console:
        overrides = [f"training.epochs={EPOCHS}", f"search.trials={options.trials}"]
        overrides += [f"storage.out={out}", "execution=in_process"]
        spec = load_spec("mnist_optdigits.yaml", [*overrides, "resources.workers_per_trial=1"])
        os.environ.update(ENVIRONMENT)  # as a search does: Tune's own loggers stay off
        ray.init(
            "local",  # never a leftover cluster that Ray remembers
            num_cpus=options.concurrency,
            log_to_driver=False,
            runtime_env={"env_vars": ENVIRONMENT},
        )
        with (Path(out) / "epochs").open("w") as epochs:
            run = closed_form_run(spec, options.concurrency, Console(file=epochs))
            memory = MemoryWatch(run.study)
            start = time.perf_counter()
            cpu_start = time.process_time()
            with memory.running():
                run_trials(run, ClosedFormTrainable)
            cpu_s = time.process_time() - cpu_start
            wall_s = time.perf_counter() - start
        ray.shutdown()
        at_once = run.plan.max_concurrent_trials
        console.print(f"{options.trials} trials, up to {at_once} at a time, in {wall_s:.0f} s")
        print_costs(memory, options.trials, cpu_s, console)


if __name__ == "__main__":
    main()
