"""A whole search without Ray and without training, which leaves a real results folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from ray import tune
from rich.console import Console
from safetensors.torch import load_file

from adaptune.artifacts import export
from adaptune.cluster import source_classifier
from adaptune.evaluation import baselines, held_out, target_calibration
from adaptune.evaluation.summary import Summary, read_summary
from adaptune.evaluation.test_scores import TestScores
from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.results import lifecycle
from adaptune.results.folder import results_folder
from adaptune.search import driver, trainable
from adaptune.search.trainable import TrialContext
from adaptune.spec import dump_spec, fingerprint, load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.spec.yaml_reader import parse
from adaptune.training.baselines import Candidate
from adaptune.training.checkpoint_format import decode, eval_weights
from adaptune.training.metrics import Predictions
from adaptune.workflows import disk, expected_epochs, search
from adaptune.workflows.results_view import search_status
from support.fake_calibration import replace_calibration
from support.fake_run import (
    PLAN,
    LocalTasks,
    constant_classifier,
    make_splits,
    make_tiny_search,
    opened,
)
from support.fake_search import make_record
from support.signed_training import SignedTraining, signature
from support.simulated_tuner import SimulatedTuner
from support.tiny_trial import CLASSES

T = TypeVar("T")
R = TypeVar("R")
Rows = list[dict[str, Any]]
SPLITS = replace(make_splits(), indices={"source_train": np.arange(14)})
F_S = Candidate(make_record(0, 0.5), {})
TUNE_NAMES = ("TuneConfig", "RunConfig", "CheckpointConfig", "FailureConfig", "SyncConfig")


def make_spec(out: Path, **sections: Any) -> SearchSpec:
    """Return a search of three trials of three epochs; the first one is a start point."""
    search_section = {
        "trials": 3,
        "startup_trials": 2,
        "start_points": [{"loss_weights.cycle": 0.6, "loss_weights.identity": 3.0}],
    }
    training = {
        "epochs": 3,
        "steps_per_epoch": 2,
        "batch_size": 4,
        "pool_size": 0,
        "source": {"steps": 1, "batch_size": 4},
    }
    return make_tiny_search(
        search=search_section | sections.pop("search", {}),
        storage={"out": str(out)} | sections.pop("storage", {}),
        training=training,
        seed=1,
        evaluation={"baselines": False},
        **sections,
    )


@dataclass
class SearchWithoutRay:
    """Runs searches whose cluster and training are simulated.

    Attributes:
        foreign: see `SignedTraining`.
    """

    foreign: list[str] = field(default_factory=list)

    def install(self, patch: pytest.MonkeyPatch, *, concurrency: int = 1) -> None:
        """Replace what needs Ray, and what takes long and writes nothing that a resume needs."""
        patch.setattr(SimulatedTuner, "concurrency", concurrency)
        self._replace_cluster(patch, concurrency)
        self._replace_slow_parts(patch)

        def open_runner(
            execution: str, settings: RunnerSettings, shared: SharedRefs
        ) -> SignedTraining:
            return SignedTraining(self.foreign)

        patch.setattr(trainable, "open_runner", open_runner)

    def run(self, spec: SearchSpec) -> None:
        """Start a search, or resume it, as `--resume-if-begun` does."""
        search.run(spec, resume=lifecycle.exists(spec), console=Console(quiet=True))

    def _replace_cluster(self, patch: pytest.MonkeyPatch, concurrency: int) -> None:
        class Capacity:
            node_timeout_s = 60.0

            def __init__(self, *_: object) -> None: ...

            def __call__(self, unfinished: int) -> int:
                return concurrency

        @contextmanager
        def connect(address: str | None, name: str) -> Iterator[str]:
            yield ""

        def with_parameters(_: object, context: TrialContext) -> SimpleNamespace:
            return SimpleNamespace(context=context)

        fake_tune = SimpleNamespace(
            **{name: getattr(tune, name) for name in TUNE_NAMES},
            Tuner=SimulatedTuner,
            PlacementGroupFactory=lambda *_, **__: None,
            with_parameters=with_parameters,
            with_resources=lambda trials, _: trials,
        )
        runtime_context = SimpleNamespace(get_actor_id=lambda: "actor")
        fake_ray = SimpleNamespace(
            put=lambda value: value, get_runtime_context=lambda: runtime_context
        )
        patch.setattr(search, "connect", connect)
        patch.setattr(search, "local_resources", lambda: {"CPU": 2.0, "GPU": 0.0})
        patch.setattr(search, "plan_on_cluster", lambda *_, **__: PLAN)
        patch.setattr(driver, "ray", fake_ray)
        patch.setattr(driver, "tune", fake_tune)
        patch.setattr(driver, "ClusterCapacity", Capacity)
        patch.setattr(driver, "ClusterTasks", lambda *_: LocalTasks(cpus_per_task=1))
        patch.setattr(trainable, "ray", fake_ray)

    def _replace_slow_parts(self, patch: pytest.MonkeyPatch) -> None:
        scores = TestScores(size=12, adapted=0.75, source_only=0.5, p={"source_only": 0.5})
        weights = constant_classifier(make_tiny_search().trial({}), 1)
        replace_calibration(patch)
        patch.setattr(search, "open_splits", lambda *_: opened(SPLITS))
        patch.setattr(search, "write_report_if_possible", lambda *_, **__: None)
        patch.setattr(source_classifier, "train_source_classifier", lambda *_, **__: dict(weights))
        patch.setattr(baselines, "_score_f_s", lambda *_: F_S)
        patch.setattr(held_out, "predict", lambda *_: predictions_of_test())
        patch.setattr(target_calibration, "calibrate_weights", lambda *_: None)
        patch.setattr(held_out, "score_on_test", lambda *_, **__: scores)
        patch.setattr(export, "model_card", lambda *_: "# A model\n")
        patch.setattr(disk, "largest_checkpoint_bytes", lambda *_: 100_000)
        patch.setattr(expected_epochs, "SIMULATIONS", 1)
        patch.setattr(metadata, "version", cache(metadata.version))
        patch.setattr(os, "fsync", lambda _: None)
        # Reading and writing YAML takes a while.
        contents = SearchSpec.model_dump_json
        patch.setattr(lifecycle, "dump_spec", memoised(dump_spec, key=contents))
        patch.setattr(lifecycle, "load_spec", memoised(load_spec, key=Path.read_bytes))
        patch.setattr(lifecycle, "parse", memoised(parse, key=str))
        patch.setattr(lifecycle, "fingerprint", memoised(fingerprint, key=contents))


def predictions_of_test() -> dict[str, Predictions]:
    """Predictions of f_S and f_T for the test images: class 1 and class 0 for all."""
    labels = SPLITS.withheld.target_test_labels
    predictions = {}
    for model, predicted in (("source_only", 1), ("adapted", 0)):
        logits = np.tile(np.eye(CLASSES)[predicted], (len(labels), 1))
        predictions[model] = Predictions(logits, labels, SPLITS.trial.class_names)
    return predictions


def memoised(function: Callable[[T], R], key: Callable[[T], object]) -> Callable[[T], R]:
    """Return a function that remembers its results by the key of the argument."""
    results: dict[object, tuple[T, R]] = {}

    def call(argument: T) -> R:
        name = key(argument)
        if name not in results:
            results[name] = argument, function(argument)
        return results[name][1]

    return call


@dataclass(frozen=True)
class Outcome:
    """Results of a finished search, without times and places.

    Attributes:
        trials: rows of trials.parquet.
        epochs: rows of epochs.parquet.
        choice: exported trial and epoch, its values and its accuracy.
    """

    trials: Rows
    epochs: Rows
    choice: dict[str, Any]


TIMES_AND_PLACES = ("wall_s", "overhead_s", "checkpoint")
CHOICE = ("trials_total", "best_trial", "best_params", "best_epoch", "target_test_accuracy")


def outcome(spec: SearchSpec) -> Outcome:
    """Return the results of a finished search."""
    folder = results_folder(spec.name, spec.storage)
    trials = []
    for row in pq.read_table(folder.trials_table).to_pylist():
        trials.append({key: row[key] for key in row if key not in TIMES_AND_PLACES})
    epochs = pq.read_table(folder.epochs_table).to_pylist()
    summary = read_summary(folder.summary)
    return Outcome(trials, epochs, {key: getattr(summary, key) for key in CHOICE})


def foreign_weights(root: Path, spec: SearchSpec) -> list[str]:
    """Return the checkpoints and the export whose weights are not those of their trial.

    Args:
        root: folder that contains the checkpoints.
    """
    folder = results_folder(spec.name, spec.storage)
    groups: dict[str, Rows] = {}
    for row in pq.read_table(folder.trials_table).to_pylist():
        groups.setdefault(str(row["group"]), []).append(row)
    messages = []
    for path in sorted(root.rglob("epoch-*.pt")):
        contents = decode(path.read_bytes(), path.name)
        leader = path.parent.parent.name
        epoch = int(path.name.partition(".")[0][-4:])
        expected = [signature(row, epoch) for row in groups[leader]]
        for trial in [contents, *contents["group"]]:
            bias = eval_weights(trial, "f_t")["bias"]
            if not any(torch.equal(bias, own) for own in expected):
                messages.append(f"{path.name} of trial {leader} has {bias.tolist()}")
    return messages + _faults_of_export(folder.best, read_summary(folder.summary))


def _faults_of_export(folder: Path, summary: Summary) -> list[str]:
    if summary.best_params is None or summary.best_epoch is None:
        return []
    bias = load_file(folder / "classifier.safetensors")["bias"]
    if not torch.equal(bias, signature(summary.best_params, summary.best_epoch)):
        return [f"the export has {bias.tolist()}"]
    metrics = json.loads((folder / "metrics.json").read_text())
    if metrics["best_trial"] != summary.best_trial:
        return ["the export has the metrics of another trial"]
    return []


def drafts(root: Path) -> list[str]:
    """Return the files and folders of a search that are named like unfinished ones."""
    names = []
    for path in sorted(root.rglob("*")):
        if path.name.endswith((".part", ".old", ".tmp", ".lock")):
            names.append(str(path.relative_to(root)))
    return names


def resume_and_compare(
    search: SearchWithoutRay, spec: SearchSpec, expected: Outcome, *, exact: bool = True
) -> list[str]:
    """Resume a disturbed search, and return how its results differ from the expected ones.

    Args:
        exact: whether the same model must be exported.
    """
    path = results_folder(spec.name, spec.storage).path
    search.foreign.clear()
    try:
        search.run(spec)
        search_status(path)
        result = outcome(spec)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    messages = [*search.foreign, *foreign_weights(path, spec)]
    if (result.trials, result.epochs) != (expected.trials, expected.epochs):
        messages.append(f"the tables are {result.trials}, {result.epochs}")
    if exact and result.choice != expected.choice:
        messages.append(f"the choice is {result.choice}")
    return messages + [f"draft {name}" for name in drafts(path)]
