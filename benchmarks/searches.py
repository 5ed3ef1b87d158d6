"""The searches that search_quality.py compares, over the space of a landscape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from landscapes import LANDSCAPES, Values
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from recorded_landscape import AnyLandscape

from adaptune.search.protocol import OBJECTIVE, GroupConfig
from adaptune.search.scheduler import GroupHooks, StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.spec.schema import SearchSpec
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.parameters import distributions
from adaptune.study.study import create_study
from adaptune.training.record import TARGET_VAL

TRIALS = 64
MOST_TRIALS = 1000  # more than any budget allows
GROUP_SIZE = 4
TARGET_VAL_IMAGES = 400  # of a landscape that counts none
CONCURRENCY = 4
REDUCTION_FACTOR = 3
NODE_TIMEOUT_S = 600.0
TUNE_EPOCH = "training_iteration"

RAY = "Ray's OptunaSearch + ASHA"
ADAPTUNE = "tpe + asha"
CURVES = "curves"
RANDOM = "random + asha"
HYPERBAND = "tpe + hyperband"
ONE_EPOCH = "random, best after an epoch"
NO_ASHA = "tpe, no early stopping"
IN_GROUPS = " in groups"


@dataclass(frozen=True)
class Search:
    """A search as Tune runs it.

    Attributes:
        searcher: suggests trials.
        scheduler: stops trials early.
        trials: function from Tune's config and the number of trials so far to the values of the
            trials, by number.
        running: function from Tune's config and the trials before an epoch to those after it.
    """

    searcher: Any
    scheduler: Any
    trials: Callable[[dict[str, Any], int], dict[int, Values]]
    running: Callable[[dict[str, Any], Iterable[int]], Iterable[int]]


class LimitedSearcher:
    """Limits the trials in all and at a time, as Tune's `num_samples` and ConcurrencyLimiter do.

    Args:
        searcher: Ray's searcher.
        trials: number of trials in all.
    """

    def __init__(self, searcher: OptunaSearch, trials: int) -> None:
        self._searcher = searcher
        self._remaining = trials
        self._running = 0

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next trial, None if there is none now, or FINISHED."""
        if self._running == CONCURRENCY:
            return None
        if not self._remaining:
            return OptunaSearch.FINISHED
        self._remaining -= 1
        self._running += 1
        return self._searcher.suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch."""
        self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Report the end of a trial."""
        self._running -= 1
        self._searcher.on_trial_complete(trial_id, None if error else result, error=error)


def ray_search(seed: int, landscape: AnyLandscape = LANDSCAPES[0]) -> Search:
    """Return OptunaSearch with ASHA, as Ray's documentation pairs them."""
    spec = make_spec(seed, landscape=landscape)
    searcher = OptunaSearch(
        space=distributions(spec.space), metric=OBJECTIVE, mode="max", seed=seed
    )
    scheduler = ASHAScheduler(
        time_attr=TUNE_EPOCH,
        metric=OBJECTIVE,
        mode="max",
        max_t=landscape.epochs,
        reduction_factor=REDUCTION_FACTOR,
    )
    return Search(
        LimitedSearcher(searcher, TRIALS),
        scheduler,
        trials=lambda config, number: {number: config},
        running=lambda config, numbers: numbers,
    )


def adaptune_search(
    seed: int,
    landscape: AnyLandscape = LANDSCAPES[0],
    *,
    sampler: str = "tpe",
    scheduler: str = "asha",
    reduction_factor: int | None = REDUCTION_FACTOR,
    group_size: int = 1,
) -> Search:
    """Return adaptune's searcher with one of its schedulers; it does not end by itself.

    Args:
        reduction_factor: of the scheduler; None is the number of epochs.
    """
    epochs = landscape.epochs
    options: dict[str, object] = {"name": scheduler}
    if scheduler != "none":
        options["reduction_factor"] = reduction_factor or epochs
    spec = make_spec(seed, sampler, options, group_size, landscape=landscape)
    study = create_study(spec)
    study.curves.note_images(landscape.images or TARGET_VAL_IMAGES)
    objective = Objective(TARGET_VAL)
    budget = SearchBudget(MOST_TRIALS, epochs, NODE_TIMEOUT_S, group_size)
    searcher = StudySearcher(study, objective, budget, lambda _: CONCURRENCY, clock=lambda: 0.0)
    hooks = GroupHooks(searcher.end_trials, searcher.note_death)
    return Search(
        searcher,
        StudyScheduler(spec.search.scheduler, epochs, study, objective, hooks=hooks),
        trials=_values_by_number,
        running=lambda config, numbers: GroupConfig.from_tune(config).running_numbers,
    )


def _values_by_number(config: dict[str, Any], number: int) -> dict[int, Values]:
    trials = GroupConfig.from_tune(config).trials
    return {trial.number: cast(Values, trial.values) for trial in trials}


_OURS: dict[str, dict[str, Any]] = {
    CURVES: {"sampler": "curves", "scheduler": "curves"},
    ADAPTUNE: {},
    RANDOM: {"sampler": "random"},
    HYPERBAND: {"scheduler": "hyperband"},
    ONE_EPOCH: {"sampler": "random", "reduction_factor": None},
    NO_ASHA: {"scheduler": "none"},
}


def _all_searches() -> dict[str, Callable[[int, AnyLandscape], Search]]:
    """Return Ray's search, and each of ours without and with groups, by name."""
    searches: dict[str, Callable[[int, AnyLandscape], Search]] = {RAY: ray_search}
    for name, options in _OURS.items():
        searches[name] = partial(adaptune_search, **options)
    for name, options in _OURS.items():
        searches[name + IN_GROUPS] = partial(adaptune_search, **options, group_size=GROUP_SIZE)
    return searches


SEARCHES = _all_searches()


def make_spec(
    seed: int,
    sampler: str = "tpe",
    scheduler: Mapping[str, object] = MappingProxyType({"name": "asha"}),
    group_size: int = 1,
    trials: int = MOST_TRIALS,
    landscape: AnyLandscape = LANDSCAPES[0],
) -> SearchSpec:
    """Return the spec of a search of a landscape; its data is never read."""
    search = {
        "trials": trials,
        "sampler": sampler,
        "scheduler": dict(scheduler),
        "classifiers_per_gan": group_size,
    }
    tree = {**landscape.tree, "name": "landscape", "seed": seed, "search": search}
    return SearchSpec.model_validate(tree)
