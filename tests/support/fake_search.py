"""A search without training and without Ray: Tune's loop in small, over learning curves in closed form."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from ray.tune.schedulers import TrialScheduler

from adaptune.search import study as studies
from adaptune.search.objective import Objective
from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.search.study_storage import open_study
from adaptune.spec.schema import SearchSpec
from adaptune.training.validators import VALIDATORS

Curve = Callable[[dict[str, Any], int], float]
_ids = itertools.count()


@dataclass(eq=False)
class FakeTrial:
    """What Tune's Trial shows a scheduler, and the epoch that is said next."""

    trial_id: str
    config: dict[str, Any]
    epoch: int = 1
    status: str = "RUNNING"


def make_search(**sections: Any) -> SearchSpec:
    domain = {"size": 32, "channels": 1}
    search = {"trials": 12, "startup_trials": 6} | sections.pop("search", {})
    tree = {
        "name": "fake",
        "data": {
            "source": {"domain": "mnist5k", **domain},
            "target": {"domain": "optdigits", **domain},
        },
        "training": {"epochs": 9} | sections.pop("training", {}),
        "search": search,
        "loss_weights": {
            "cycle": 0.1,
            "identity": 0,
        },  # as the loader stands in for what is searched
        "space": {
            "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
            "loss_weights.identity": {"search": "uniform", "low": 0, "high": 5},
        },
    }
    return SearchSpec.model_validate(tree | sections)


def make_record(epoch: int, accuracy: float, loss: float = 1.0) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "target_val_accuracy": accuracy,
        "target_val_loss": loss,
        **dict.fromkeys((f"validator/{name}" for name in VALIDATORS), accuracy),
        "train_s": 2.0,
        "eval_s": 0.5,
    }


def make_result(epoch: int, accuracy: float, *, done: bool = False) -> dict[str, Any]:
    return {
        "record": json.dumps(make_record(epoch, accuracy)),
        "epoch": epoch,
        "target_val_accuracy": accuracy,
        "done": done,
    }


def smooth(values: dict[str, Any], epoch: int) -> float:
    """Best at cycle 3 and identity 1; a trial nears its own ceiling with the epochs."""
    distance = (
        math.log(values["loss_weights.cycle"] / 3) ** 2 / 8
        + (values["loss_weights.identity"] - 1) ** 2 / 16
    )
    return math.exp(-distance) * (1 - 0.5**epoch)


def simulate(
    spec: SearchSpec,
    journal: str,
    curve: Curve,
    *,
    stop_after: int | None = None,
    concurrency: int = 1,
    put_back_every: int | None = None,
) -> optuna.Study:
    """Run the search's searcher and scheduler over `curve`, or go on with what the journal holds.

    Args:
        stop_after: drop everything after so many results, as a kill does.
        put_back_every: so many turns of trials a trial finds no room for its lane.
    """
    study = open_study(spec, journal)
    guide = Objective(spec.search.metric)
    searcher = StudySearcher(spec, study, guide, lambda _: concurrency, clock=lambda: 0.0)
    scheduler = StudyScheduler(spec, study, guide)
    live: list[FakeTrial] = []
    results, turns = 0, itertools.count(1)
    while True:
        while (suggested := searcher.suggest(tune_id := f"tune-{next(_ids)}")) not in (
            None,
            "FINISHED",
        ):
            past = studies.curve(study.get_trials(deepcopy=False)[suggested["number"]])
            trial = FakeTrial(tune_id, suggested, epoch=max(past, default=1))
            scheduler.on_trial_add(None, trial)
            live.append(trial)
        assert len(live) <= concurrency
        if not live:
            return study
        for trial in list(live):
            if put_back_every and next(turns) % put_back_every == 0:
                result = {"requeued": "no room", "done": True}
                scheduler.on_trial_complete(None, trial, result)
                searcher.on_trial_complete(trial.trial_id, result)
                live.remove(trial)
                continue
            done = trial.epoch == spec.training.epochs
            result = make_result(trial.epoch, curve(trial.config["values"], trial.epoch), done=done)
            trial.epoch += 1
            if done:
                scheduler.on_trial_complete(None, trial, result)
                searcher.on_trial_complete(trial.trial_id, result)
                live.remove(trial)
            else:
                decision = scheduler.on_trial_result(None, trial, result)
                searcher.on_trial_result(trial.trial_id, result)
                results += 1
                if results == stop_after:
                    return study
                if decision == TrialScheduler.STOP:
                    scheduler.on_trial_remove(None, trial)
                    searcher.on_trial_complete(trial.trial_id, result)
                    live.remove(trial)


def history(study: optuna.Study) -> list[tuple[Any, ...]]:
    """All that two runs of one search must have alike."""
    return [
        (trial.number, trial.state, trial.params, studies.curve(trial), trial.value)
        for trial in study.trials
    ]
