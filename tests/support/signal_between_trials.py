"""A search whose trial process sends itself a signal when it is given its second trial.

    python tests/support/signal_between_trials.py ADDRESS FOLDER SIGNAL

It prints each trial's number of epochs, one line per trial, and `failed` for a failed one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import ray

sys.path.append(str(Path(__file__).parents[1]))

from adaptune.cluster.connection import connect
from adaptune.cluster.nodes import ClusterCapacity
from adaptune.cluster.placement import plan_placement
from adaptune.execution.base import SharedRefs
from adaptune.search.driver import run_trials
from adaptune.search.protocol import GroupConfig, GroupResult, TrialResult
from adaptune.search.trainable import TrialTrainable
from adaptune.study.storage import open_study
from adaptune.training.record import EpochRecord
from support.fake_run import make_run, make_tiny_search

EPOCHS = 2
EPOCH_TIMEOUT_S = 10


class SignalledTrainable(TrialTrainable):
    """Trains nothing; its first process sends itself the signal.

    Attributes:
        signal: number of the signal.
        met: file that exists once a process has sent it.
    """

    signal: ClassVar[int]
    met: ClassVar[Path]

    def setup(self, config: dict[str, object], context: object) -> None:
        """Begin the first trial."""
        self._begin_trial(config)

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Begin another trial, if the signal lets this process do so."""
        self._begin_trial(new_config)
        if not self.met.exists():
            self.met.touch()
            os.kill(os.getpid(), self.signal)
        return True

    def step(self) -> dict[str, object]:
        """Report the next epoch."""
        self._epoch += 1
        record = EpochRecord(
            epoch=self._epoch,
            train_s=0.0,
            eval_s=0.0,
            source_val_accuracy=0.5,
            target_val_accuracy=0.5,
            target_val_loss=1.0,
        )
        is_done = self._epoch == EPOCHS
        result = TrialResult(record=record, objective=0.5, done=is_done)
        return GroupResult({self._number: result}, done=is_done).to_tune()

    def stop_trials(self, numbers: Collection[int]) -> None:
        """Do nothing: each trial trains alone."""

    def cleanup(self) -> None:
        """Do nothing."""

    def _begin_trial(self, config: dict[str, object]) -> None:
        [self._number] = GroupConfig.from_tune(config).running_numbers
        self._epoch = 0


def main(address: str, folder: Path, signal_name: str) -> None:
    """Run the search and print its trials."""
    folder.mkdir()
    SignalledTrainable.signal = int(signal.Signals[signal_name])
    SignalledTrainable.met = folder / "met"
    spec = make_tiny_search(
        execution="in_process",
        search={"trials": 3, "scheduler": "none"},
        resources={"workers_per_trial": 1, "epoch_timeout_s": EPOCH_TIMEOUT_S},
    )
    with connect(address, spec.name):
        plan = plan_placement(spec, [{"CPU": 1.0}])
        run = make_run(folder, spec, open_study(spec, folder / "journal"))
        shared = SharedRefs(ray.put(None), ray.put(None))
        capacity = ClusterCapacity(plan)
        run = replace(run, plan=plan, capacity=capacity, shared=shared)
        run_trials(run, SignalledTrainable)
    for trial in run.study.started_trials():
        print("failed" if trial.error else len(trial.epochs))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
