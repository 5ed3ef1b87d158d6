"""Computing time of a proposal and of a decision of `curves`, by the number of trials.

    python benchmarks/proposal_time.py [--trials 200 2000]

The study is in memory, and its trials have the curves of a landscape: one in three trained all
epochs. The fit of the kernel, which most proposals share with earlier ones, is in the first column.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import optuna
from landscapes import EPOCHS, LANDSCAPES
from optuna.trial import TrialState, create_trial
from rich import box
from rich.console import Console
from rich.table import Table
from searches import TARGET_VAL_IMAGES, make_spec

from adaptune.curves.space import UnitSpace
from adaptune.study.parameters import distributions
from adaptune.study.study import SearchStudy, create_study

REPETITIONS = 5


def study_of(trials: int) -> SearchStudy:
    """Return a study with so many ended trials, and one that runs."""
    spec = make_spec(0, "curves", {"name": "curves"})
    study = create_study(spec)
    study.curves.note_images(TARGET_VAL_IMAGES)
    random = np.random.default_rng(0)
    space = UnitSpace(spec.space)
    ended = []
    for number in range(trials):
        values = space.values(random.uniform(size=len(spec.space)))
        epochs = EPOCHS if number % 3 == 0 else 2
        curve = {}
        for epoch in range(1, epochs + 1):
            curve[epoch] = LANDSCAPES[1].accuracy(values, epoch, random)
        ended.append(
            create_trial(
                state=TrialState.COMPLETE,
                params=values,
                distributions=distributions(spec.space),
                intermediate_values=curve,
                value=max(curve.values()),
            )
        )
    study.optuna_study.add_trials(ended)
    study.ask()
    return study


def measure(trials: int) -> tuple[float, float, float, float]:
    """Return seconds of computing: the first proposal, further ones, a decision, and an end."""
    study = study_of(trials)
    running = study.optuna_study.get_trials(deepcopy=False)[-1]
    study.curves.note_images(TARGET_VAL_IMAGES)  # forgets the fit of the trial that runs
    start = time.process_time()
    study.curves.propose(running, seed=0)
    first = time.process_time() - start
    start = time.process_time()
    for seed in range(REPETITIONS):
        study.curves.propose(running, seed)
    proposal = (time.process_time() - start) / REPETITIONS
    start = time.process_time()
    for _ in range(REPETITIONS):
        study.curves.stops(running.number, 1, 0.5, otherwise=False)
    decision = (time.process_time() - start) / REPETITIONS
    study.curves.chance_of_gain(0.01)  # fits the kernel of the trials that have ended
    start = time.process_time()
    for _ in range(REPETITIONS):
        study.curves.chance_of_gain(0.01)
    return first, proposal, decision, (time.process_time() - start) / REPETITIONS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table(
        "trials", "with a fit, ms", "proposal, ms", "decision, ms", "stop_when, ms", box=box.SIMPLE
    )
    for trials in options.trials:
        table.add_row(str(trials), *(f"{1000 * seconds:.0f}" for seconds in measure(trials)))
    Console().print(table)


if __name__ == "__main__":
    main()
