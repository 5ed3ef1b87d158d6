"""Training of configurations under new seeds, for `confirm` and `ablate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from rich.console import Console

from adaptune.cluster.placement import PlacementPlan
from adaptune.data.splits import load_splits
from adaptune.errors import CheckpointError, OtherSpecError, ResultsError
from adaptune.evaluation.baselines import train_baselines
from adaptune.evaluation.held_out import load_trial_checkpoint
from adaptune.evaluation.predictions import predict
from adaptune.evaluation.test_scores import NAMES, SOURCE_ONLY, count_evaluation, run_once
from adaptune.results.folder import ResultsFolder, join_uri
from adaptune.results.lifecycle import create_or_resume, exists
from adaptune.search.driver import SearchRun, prepare_run, run_trials
from adaptune.spec.algorithms import NoScheduler, Random
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.study.group_size import MAX_GROUP_SIZE
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.text import duration
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.metrics import judging_metric
from adaptune.training.state import StateDict


@dataclass(frozen=True)
class Configuration:
    """A named configuration.

    Attributes:
        name: name for the user, unique among the configurations, such as `trial 3: cycle=10`.
        values: value of every loss weight, and of everything else that was searched.
    """

    name: str
    values: Mapping[str, Value]

    @property
    def short_name(self) -> str:
        """The name without values, such as `trial 3`."""
        return self.name.partition(":")[0]


@dataclass(frozen=True)
class SeedResult:
    """Scores of a configuration, or of a baseline, under one seed.

    They are accuracies, or the metric that is the objective of the search.

    Attributes:
        configuration: name of the configuration.
        seed: seed of data split, f_S and training.
        target_val: score on target_val, in [0, 1]; None if the trial failed.
        target_test: score on target_test, in [0, 1]; None if the trial failed.
    """

    configuration: str
    seed: int
    target_val: float | None
    target_test: float | None


def replicate(
    study: SearchStudy,
    spec: SearchSpec,
    configurations: Sequence[Configuration],
    seeds: Sequence[int],
    folder: Path,
    plan: Callable[[SearchSpec], PlacementPlan],
    console: Console,
) -> list[SeedResult]:
    """Train each configuration and the baselines once per seed, and evaluate them.

    A seed determines the data split, f_S and the training. Each seed is a search of its own in
    `folder/seed-N`, whose finished trials are kept if the command is interrupted and repeated.

    The test set of a seed overlaps that of the search. So each evaluation of a configuration is
    counted in the study of the search, too.

    Args:
        study: study of the search, open for writing.
        spec: spec of the search.
        plan: returns the placement of a seed's search.

    Raises:
        ResultsError: the target has no labels, or `folder` holds other configurations.
    """
    results: list[SeedResult] = []
    names = ", ".join(configuration.name for configuration in configurations)
    begin = time.perf_counter()
    for index, seed in enumerate(seeds):
        start = time.perf_counter()
        seed_spec = spec_of_seed(spec, configurations, seed, folder)
        splits = load_splits(seed_spec.data, seed)
        if not len(splits.withheld.target_test_labels):
            raise ResultsError(
                f"{spec.data.target.domain} has no labels: nothing can be confirmed without a test"
            )
        results_folder = _seed_folder(seed_spec, folder)
        left = ""
        if index:
            left_s = (start - begin) / index * (len(seeds) - index)
            left = f", about {duration(left_s)} left"
        console.print(f"seed {seed} ({index + 1} of {len(seeds)}{left}): {names}")
        run = prepare_run(seed_spec, splits, plan(seed_spec), results_folder, console, start=start)
        run_trials(run)
        results += _evaluate_seed(run, configurations, _TestCount(study, folder.name, seed))
    return results


def spec_of_seed(
    spec: SearchSpec, configurations: Sequence[Configuration], seed: int, out: Path
) -> SearchSpec:
    """Return a search whose start points are the configurations, and which has no other trials."""
    tree: dict[str, Any] = spec.model_dump(mode="json")
    searched = []
    for path in configurations[0].values:
        values = list(dict.fromkeys(config.values[path] for config in configurations))
        if len(values) > 1:
            searched.append(path)
            put(tree, path, {"search": "choice", "values": values})
        else:
            put(tree, path, values[0])
    start_points = []
    if searched:
        for configuration in configurations:
            start_points.append({path: configuration.values[path] for path in searched})
    tree |= {"name": f"seed-{seed}", "seed": seed}
    tree["storage"] |= {"out": str(out), "study": None, "checkpoint_budget_gb": None}
    if spec.storage.remote is not None:
        tree["storage"]["remote"] = join_uri(spec.storage.remote, spec.name, out.name)
    # The comparison with the baselines is the purpose.
    tree["evaluation"]["baselines"] = spec.evaluation.baselines or "auto"
    tree["search"] |= {
        "trials": len(configurations),
        "sampler": Random(name="random").model_dump(),
        "scheduler": NoScheduler(name="none").model_dump(),
        "start_points": start_points,
        "warm_start": [],
        "classifiers_per_gan": 1,
    }
    seed_spec = SearchSpec.model_validate(tree)
    if seed_spec.sharing_obstacle is not None:
        return seed_spec
    # As many as differ in settings of f_T and D_feat only.
    tree["search"]["classifiers_per_gan"] = min(len(configurations), MAX_GROUP_SIZE)
    return SearchSpec.model_validate(tree)


def _seed_folder(seed_spec: SearchSpec, folder: Path) -> ResultsFolder:
    """Create the results folder of a seed, or open it if the command is repeated."""
    try:
        return create_or_resume(seed_spec, resume=exists(seed_spec))
    except OtherSpecError as error:
        raise ResultsError(
            f"{folder} holds other configurations; move it away to start again. {error}"
        ) from error


@dataclass(frozen=True)
class _TestCount:
    """Counts the evaluations of a command under one seed in the study of the search."""

    study: SearchStudy
    command: str
    seed: int

    def add(self, configuration: Configuration) -> None:
        model = f"{self.command} seed {self.seed}: {configuration.short_name}"
        count_evaluation(self.study, model)


def _evaluate_seed(
    run: SearchRun, configurations: Sequence[Configuration], count: _TestCount
) -> list[SeedResult]:
    """Return the results of a seed; its study stores them, so that the test is evaluated once."""

    def evaluate() -> dict[str, object]:
        models = _models(run, configurations)
        for configuration in configurations:
            # Counted first: an evaluation that is interrupted counts all the same.
            if models[configuration.name] is not None:
                count.add(configuration)
        results = _seed_results(run, models, count.seed)
        return {"results": [asdict(result) for result in results]}

    stored: Any = run_once(run.study, "all", evaluate)[0]["results"]
    results = [SeedResult(**result) for result in stored]
    # Again for stored results: the study of the search may be an older copy of a remote one.
    evaluated = {result.configuration for result in results if result.target_test is not None}
    for configuration in configurations:
        if configuration.name in evaluated:
            count.add(configuration)
    return results


def _models(run: SearchRun, configurations: Sequence[Configuration]) -> dict[str, StateDict | None]:
    """Return the weights of the baselines and of each configuration; None if its trial failed."""
    spec = run.spec.trial(configurations[0].values, seed=run.spec.seed)
    baselines = train_baselines(run, spec, run.spec.evaluation.baselines)
    models: dict[str, StateDict | None] = {SOURCE_ONLY: run.source_weights}
    for key, weights in baselines.weights.items():
        models[NAMES[key]] = weights
    for configuration, trial in zip(configurations, run.study.started_trials(), strict=True):
        models[configuration.name] = _trial_weights(run, trial)
    return models


def _trial_weights(run: SearchRun, trial: StudyTrial) -> StateDict | None:
    """Return f_T at the trial's best epoch, or None if the trial failed."""
    best = trial.best_epoch
    if trial.state == TrialState.FAIL or best is None:  # an earlier epoch is no result
        return None
    try:
        checkpoint = load_trial_checkpoint(run, trial, best.record)
    except CheckpointError:
        return None
    return eval_weights(checkpoint.contents, "f_t")


def _seed_results(
    run: SearchRun, models: Mapping[str, StateDict | None], seed: int
) -> list[SeedResult]:
    """Evaluate models on target_val and target_test."""
    trained = {name: weights for name, weights in models.items() if weights is not None}
    spec = run.spec.trial({}, seed=0)
    data, withheld = run.splits.trial, run.splits.withheld
    val = predict(run, spec, trained, data.target_val_images, data.target_val_labels)
    test = predict(run, spec, trained, withheld.target_test_images, withheld.target_test_labels)
    metric = judging_metric(run.spec.search.metric)
    results = []
    for name in models:
        if name in trained:
            scores = val[name].values()[metric], test[name].values()[metric]
            results.append(SeedResult(name, seed, *scores))
        else:
            results.append(SeedResult(name, seed, None, None))
    return results
