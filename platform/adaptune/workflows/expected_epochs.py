"""Epochs that the trials of a search are expected to train, from simulations of its scheduler."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ray.tune.schedulers import TrialScheduler

from adaptune.search.protocol import EPOCH, OBJECTIVE
from adaptune.search.ray_schedulers import RankedTrial, make_scheduler
from adaptune.spec.algorithms import Scheduler
from adaptune.spec.schema import SearchSpec

SIMULATIONS = 10
MAX_TRIALS = 60  # those of a longer search are as long as its later ones
_LEARNING_SAMPLERS = ("tpe", "curves", "gp", "cmaes", "nsga2")
# A learning sampler finds better values from trial to trial, so that fewer trials are stopped. A
# proposal is worth the best of so many random ones: one more after each eight trials.
_TRIALS_PER_DRAW = 8


@dataclass(frozen=True)
class ExpectedEpochs:
    """Mean numbers of epochs that are left.

    Attributes:
        trials: number of trials, or of groups that share a GAN, that have not ended.
        total: epochs of all of them; those of a group are those of its longest trial.
        in_sequence: epochs from the start to the end of the search, one after another.
    """

    trials: int
    total: float
    in_sequence: float


def expected_epochs(
    spec: SearchSpec, at_once: int, trained: Mapping[int, int | None] | None = None
) -> ExpectedEpochs:
    """Return the epochs that are left of a search.

    Args:
        at_once: number of trials, or of groups, at a time.
        trained: epochs that a trial has trained, by its number; None if it has ended. A new search
            has no such trials.
    """
    trained = trained or {}
    size = spec.search.group_size
    totals = []
    sequences = []
    for seed in range(SIMULATIONS):
        left = []
        for number, length in enumerate(simulate(spec, at_once * size, seed)):
            done = trained.get(number, 0)
            left.append(0 if done is None else max(length - done, 0))
        groups = [max(left[first : first + size]) for first in range(0, len(left), size)]
        totals.append(sum(groups))
        sequences.append(_makespan(groups, at_once))
    ended = sum(done is None for done in trained.values())
    trials = math.ceil(max(spec.planned_trials - ended, 0) / size)
    return ExpectedEpochs(trials, float(np.mean(totals)), float(np.mean(sequences)))


def simulate(spec: SearchSpec, at_once: int, seed: int) -> list[int]:
    """Return the epochs of each trial under the scheduler of a search.

    Each trial has a random quality. The objective approaches it from epoch to epoch, so that two
    trials are always in the same order.

    Args:
        at_once: number of trials at a time.
        seed: decides the qualities.
    """
    trials = spec.planned_trials
    qualities = _qualities(spec, min(trials, MAX_TRIALS), seed)
    lengths = _simulate(spec.search.scheduler, spec.epochs, qualities, at_once)
    later = lengths[len(lengths) // 2 :]
    while len(lengths) < trials:
        lengths += later[: trials - len(lengths)]
    return lengths


def _qualities(spec: SearchSpec, trials: int, seed: int) -> list[float]:
    """Return a quality in [0, 1] per trial; higher is better."""
    random = np.random.default_rng(seed)
    learns = spec.search.sampler.name in _LEARNING_SAMPLERS
    qualities = []
    for number in range(trials):
        quality = random.uniform()
        learned = number - spec.search.startup_trials
        if learns and learned > 0:
            draws = 1 + learned / _TRIALS_PER_DRAW
            quality **= 1 / draws  # distributed as the largest of so many
        qualities.append(quality)
    return qualities


def _makespan(lengths: Sequence[int], at_once: int) -> int:
    """Return the epochs until all trials have ended, if each starts as soon as there is room."""
    ends = [0] * at_once
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _simulate(
    options: Scheduler, epochs: int, qualities: Sequence[float], at_once: int
) -> list[int]:
    scheduler = make_scheduler(options, epochs)
    lengths = [0] * len(qualities)
    waiting = deque(range(len(qualities)))
    running: list[tuple[int, RankedTrial]] = []
    while waiting or running:
        while waiting and len(running) < at_once:
            number = waiting.popleft()
            trial = RankedTrial(f"simulated-{number}", number)
            scheduler.on_trial_add(None, trial)
            running.append((number, trial))
        for number, trial in list(running):
            lengths[number] += 1
            objective = (1 + qualities[number]) * (1 - 0.5 ** lengths[number])
            result = {EPOCH: lengths[number], OBJECTIVE: objective}
            if lengths[number] == epochs:
                scheduler.on_trial_complete(None, trial, result)
            elif scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
                scheduler.on_trial_remove(None, trial)
            else:
                continue
            running.remove((number, trial))
    return lengths
