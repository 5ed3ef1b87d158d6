"""The searches that search_quality.py compares, over the loss weights of a landscape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from landscapes import EPOCHS, SPACE
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from adaptune.search.protocol import OBJECTIVE, GroupConfig
from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.samplers import distributions
from adaptune.study.study import create_study
from adaptune.training.record import TARGET_VAL

TRIALS = 64
TRIALS_WITH_ASHA = 192  # more than Ray's budget, of which ASHA stops most early
CONCURRENCY = 4
REDUCTION_FACTOR = 3
NODE_TIMEOUT_S = 600.0
TUNE_EPOCH = "training_iteration"

RAY = "Ray's OptunaSearch + ASHA"
ADAPTUNE = "adaptune + ASHA"
RANDOM = "adaptune, random + ASHA"
NO_ASHA = "adaptune, no ASHA"


@dataclass(frozen=True)
class Search:
    """A search as Tune runs it.

    Attributes:
        searcher: suggests trials.
        scheduler: stops trials early.
        values: function from Tune's config of a trial to its values by dotted path.
    """

    searcher: Any
    scheduler: Any
    values: Callable[[dict[str, Any]], Mapping[str, Any]]


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


def ray_search(seed: int) -> Search:
    """Return OptunaSearch with ASHA, as Ray's documentation pairs them."""
    spec = make_spec(seed)
    searcher = OptunaSearch(
        space=distributions(spec.space), metric=OBJECTIVE, mode="max", seed=seed
    )
    scheduler = ASHAScheduler(
        time_attr=TUNE_EPOCH,
        metric=OBJECTIVE,
        mode="max",
        max_t=EPOCHS,
        reduction_factor=REDUCTION_FACTOR,
    )
    return Search(LimitedSearcher(searcher, TRIALS), scheduler, lambda config: config)


def adaptune_search(
    seed: int, sampler: str = "tpe", scheduler: str = "asha", trials: int = TRIALS_WITH_ASHA
) -> Search:
    """Return adaptune's searcher with one of its schedulers."""
    spec = make_spec(seed, sampler, scheduler, trials)
    study = create_study(spec)
    objective = Objective(TARGET_VAL)
    budget = SearchBudget(trials, EPOCHS, NODE_TIMEOUT_S)
    searcher = StudySearcher(study, objective, budget, lambda _: CONCURRENCY, clock=lambda: 0.0)
    return Search(
        searcher,
        StudyScheduler(spec.search.scheduler, EPOCHS, study, objective),
        lambda config: GroupConfig.from_tune(config).trials[0].values,
    )


SEARCHES: dict[str, Callable[[int], Search]] = {
    RAY: ray_search,
    ADAPTUNE: adaptune_search,
    RANDOM: lambda seed: adaptune_search(seed, sampler="random"),
    NO_ASHA: lambda seed: adaptune_search(seed, scheduler="none", trials=TRIALS),
}


def make_spec(
    seed: int, sampler: str = "tpe", scheduler: str = "asha", trials: int = TRIALS
) -> SearchSpec:
    """Return the spec of a search of a landscape; its data is never read."""
    domain = {"domain": "mnist5k", "size": 32, "channels": 1}
    options: dict[str, object] = {"name": scheduler}
    if scheduler == "asha":
        options["reduction_factor"] = REDUCTION_FACTOR
    tree: dict[str, object] = {
        "name": "landscape",
        "seed": seed,
        "data": {"source": domain, "target": domain | {"domain": "optdigits"}},
        "training": {"epochs": EPOCHS},
        "search": {"trials": trials, "sampler": sampler, "scheduler": options},
    }
    for path, distribution in SPACE.items():
        put(tree, path, distribution)
    return SearchSpec.model_validate(tree)
