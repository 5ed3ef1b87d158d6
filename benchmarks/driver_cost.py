"""What a finished trial costs the driver: closed-form trials through Ray Tune, the searcher, ASHA and the study.

    python benchmarks/driver_cost.py [--trials 1000] [--concurrency 64]

No trial trains: a Tune actor answers at once, so that nearly all that is left is Ray's and our bookkeeping.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ray
from proc import rss_mb

from adaptune.cluster.connection import ENVIRONMENT, redirect_output
from adaptune.cluster.placement import plan_placement
from adaptune.results.lifecycle import claim
from adaptune.search import tuner
from adaptune.search.objective import ENSEMBLE_VALIDATORS
from adaptune.search.study import OBJECTIVE, WallClock, started
from adaptune.search.study_storage import open_study
from adaptune.search.trainable import TrialTrainable
from adaptune.spec import load

EPOCHS = 9


class ClosedFormTrainable(TrialTrainable):
    """Best at cycle 3, and better with each epoch."""

    def setup(self, config: dict[str, Any], context: Any) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._ceiling = math.exp(
            -(math.log(new_config["values"]["loss_weights.cycle"] / 3) ** 2) / 8
        )
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        accuracy = self._ceiling * (1 - 0.5**self._epoch)
        record = {
            "epoch": self._epoch,
            "target_val_accuracy": accuracy,
            "target_val_loss": 1.0,
            "train_s": 0.0,
        }
        record |= {"eval_s": 0.0} | dict.fromkeys(ENSEMBLE_VALIDATORS, accuracy)
        return {
            "record": json.dumps(record),
            "epoch": self._epoch,
            OBJECTIVE: accuracy,
            "done": self._epoch == EPOCHS,
        }

    def cleanup(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    chosen = parser.parse_args()
    tuner.TrialTrainable = ClosedFormTrainable  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as out:
        settings = [
            f"training.epochs={EPOCHS}",
            f"search.trials={chosen.trials}",
            f"storage.out={out}",
        ]
        spec = load(
            "cycada.yaml", [*settings, "execution=in_process", "resources.workers_per_trial=1"]
        )
        folder = claim(spec, resume=False)
        with (
            redirect_output(Path(out) / "ray.log") as console,
            (Path(out) / "epochs").open("w") as epochs,
        ):
            os.environ.update(ENVIRONMENT)  # as a search does: Tune's own loggers stay off
            ray.init(
                "local",  # never a leftover cluster that Ray remembers
                num_cpus=chosen.concurrency,
                log_to_driver=False,
                runtime_env={"env_vars": ENVIRONMENT},
            )
            plan = plan_placement(spec, [{"CPU": float(chosen.concurrency)}])
            study, since = open_study(spec, str(folder.journal)), time.perf_counter()
            lines = type(console)(file=epochs)
            clock = WallClock(study, since)
            run = tuner.Run(spec, None, plan, folder, lines, study, clock, {}, 0.0, [])  # type: ignore[arg-type]
            memory: dict[int, float] = {}  # MB, by finished trials
            done = threading.Event()

            def watch() -> None:
                while not done.wait(2.0):
                    memory[sum(trial.state.is_finished() for trial in started(study))] = rss_mb()

            watcher = threading.Thread(target=watch)
            watcher.start()
            cpu_s = time.process_time()
            tuner.run_trials(run)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - since
            done.set()
            watcher.join()
            ray.shutdown()
            later = [mb for finished, mb in memory.items() if finished >= chosen.trials // 10]
            console.print(
                f"{chosen.trials} trials, up to {plan.concurrency} at a time, in {wall_s:.0f} s"
            )
            console.print(f"a trial: {1e3 * cpu_s / chosen.trials:.1f} ms of the driver's own")
            console.print(
                f"its memory after a tenth: {later[0]:.0f} MB; from then on at most {max(later):.0f}"
            )


if __name__ == "__main__":
    main()
