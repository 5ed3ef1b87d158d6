"""Settings of a search trained again under fresh seeds: what `confirm` and `ablate` stand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from rich.console import Console

from adaptune.cluster.placement import PlacementPlan
from adaptune.data.domain import Images, Labels
from adaptune.data.splits import load_splits
from adaptune.errors import CheckpointError, ResultsError
from adaptune.evaluation.test_scores import correct_predictions, look
from adaptune.results.folder import below
from adaptune.results.lifecycle import claim
from adaptune.search import study as studies
from adaptune.search.driver import Run, begin, load_trial_checkpoint, rivals_of, run_trials
from adaptune.spec.algorithms import NoScheduler, Random
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec, put
from adaptune.training.checkpoint import eval_weights
from adaptune.training.source_classifier import State

SOURCE_ONLY, INFORMATION_ONLY, NO_GAN, SUPERVISED = (
    "source only",
    "information only",
    "no GAN",
    "target supervised",
)


@dataclass(frozen=True)
class Setting:
    """A name, and the value of every dotted path that is searched or changed."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Row:
    """A model trained under one seed; accuracies in [0, 1], None where its trial failed."""

    setting: str
    seed: int
    target_val: float | None
    target_test: float | None


def repeat(
    spec: SearchSpec,
    settings: Sequence[Setting],
    seeds: Sequence[int],
    folder: Path,
    plan: Callable[[SearchSpec], PlacementPlan],
    console: Console,
) -> list[Row]:
    """Train each setting and the rivals once a seed, and score them on that seed's own target_val and target_test.

    A seed decides everything: the split, f_S, and the training. Each is a search of its own in
    `folder/seed-N`, whose finished trials stand when the work is done again after an interruption.

    Raises:
        ResultsError: the target has no labels to score by, or `folder` holds other settings.
    """
    rows: list[Row] = []
    for seed in seeds:
        ours = _spec_of_seed(spec, settings, seed, folder)
        splits = load_splits(ours.data, seed)
        if not len(splits.withheld.target_test_labels):
            raise ResultsError(
                f"{spec.data.target.domain} has no labels: nothing can be confirmed without a test"
            )
        try:
            results = claim(ours, resume=(folder / ours.name / "search.yaml").exists())
        except ResultsError as error:
            raise ResultsError(
                f"{folder} holds other settings; move it away to begin anew. {error}"
            ) from error
        console.print(
            f"seed {seed}: {', '.join(setting.name for setting in settings)}", highlight=False
        )
        run = begin(ours, splits, plan(ours), results, console, since=time.perf_counter())
        run_trials(run)
        scored, _ = look(run.study, "all", lambda run=run: {"rows": list(_score(run, settings))})  # type: ignore[misc]
        rows += [Row(name, seed, val, test) for name, val, test in scored["rows"]]
    return rows


def _score(
    run: Run, settings: Sequence[Setting]
) -> Iterator[tuple[str, float | None, float | None]]:
    """(name, target_val accuracy, target_test accuracy) of every model of a seed."""
    rivals = rivals_of(run, run.spec.trial(settings[0].values, seed=run.spec.seed))
    models: dict[str, State | None] = {
        SOURCE_ONLY: run.source,
        INFORMATION_ONLY: rivals.information_only,
        NO_GAN: rivals.no_gan,
    }
    if rivals.supervised is not None:
        models[SUPERVISED] = rivals.supervised
    for setting, trial in zip(settings, studies.started(run.study), strict=True):
        if trial.state == TrialState.FAIL:  # what it had reached before is no result
            models[setting.name] = None
            continue
        try:
            epoch = (studies.best_record(trial, run.spec.search.metric) or {"epoch": 0})["epoch"]
            models[setting.name] = eval_weights(
                load_trial_checkpoint(run, trial, epoch).checkpoint, "f_target"
            )
        except CheckpointError:
            models[setting.name] = None
    data, sealed, like = run.splits.trial, run.splits.withheld, run.spec.trial({}, seed=0)

    def accuracy(weights: State, images: Images, labels: Labels) -> float:
        return float(
            correct_predictions(weights, like, images, labels, len(data.class_names)).mean()
        )

    for name, weights in models.items():
        if weights is None:
            yield name, None, None
        else:
            yield (
                name,
                accuracy(weights, data.target_val_images, data.target_val_labels),
                accuracy(weights, sealed.target_test_images, sealed.target_test_labels),
            )


def _spec_of_seed(
    spec: SearchSpec, settings: Sequence[Setting], seed: int, out: Path
) -> SearchSpec:
    """A search whose start points are the settings, and no more."""
    tree = spec.model_dump()
    space: dict[str, Any] = {}
    for path in settings[0].values:
        values = list(dict.fromkeys(setting.values[path] for setting in settings))
        put(tree, path, values[0])
        if len(values) > 1:
            space[path] = {"search": "choice", "values": values}
    points = [{path: setting.values[path] for path in space} for setting in settings]
    tree |= {"name": f"seed-{seed}", "seed": seed, "space": space}
    tree["storage"] |= {"out": str(out), "study": None, "checkpoint_budget_gb": None}
    if spec.storage.remote is not None:
        tree["storage"]["remote"] = below(spec.storage.remote, spec.name, out.name)
    tree["evaluation"]["yardsticks"] = (
        spec.evaluation.yardsticks or "auto"
    )  # the rivals are what it is about
    tree["search"] |= {
        "trials": len(settings),
        "sampler": Random(name="random").model_dump(),
        "scheduler": NoScheduler(name="none").model_dump(),
        "start_points": [point for point in points if point],
        "warm_start": [],
    }
    return SearchSpec.model_validate(tree)
