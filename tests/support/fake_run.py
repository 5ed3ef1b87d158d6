"""The driver's side of a search without Ray: tasks run at once, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from adaptune.cluster.placement import PlacementPlan
from adaptune.data.identity import DataIdentity, identify_domain, identify_split
from adaptune.data.image_set import in_memory
from adaptune.data.splits import Splits, WithheldData
from adaptune.evaluation.summary import Summary
from adaptune.execution.base import SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease
from adaptune.search.driver import SearchRun
from adaptune.spec.resources import WorkerResources
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.study.inputs import record_inputs
from adaptune.study.job import make_job
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.wall_clock import WallClock
from adaptune.training.build import build_classifier
from adaptune.training.identity import TrialInputs
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict, build_state
from support.fake_search import make_record, make_search
from support.tiny_trial import CLASSES, make_data, save

PLAN = PlacementPlan(
    execution="ray_train",
    resources=WorkerResources(workers=2, cpus_per_worker=1, gpus_per_worker=0.0),
    max_concurrent_trials=1,
    trial_limit=2,
    task_cpus=2,
)


LOST = -1
INPUTS = TrialInputs(data="data", source_classifier="f_S")


@dataclass
class LocalTasks:
    """Runs a task as soon as it is submitted."""

    submitted: list[str] = field(default_factory=list)
    cpus_per_task: int = 2

    def submit(self, name: str, function: Callable[..., Any], *arguments: Any, cpus: int) -> Any:
        self.submitted.append(f"{name}, {cpus} CPU")
        return function(*arguments)

    def results(self, tasks: Sequence[Any]) -> list[Any]:
        return list(tasks)


def make_tiny_search(domain: str = "noise", **sections: Any) -> SearchSpec:
    """A search of images of 16 px and three classes, whose trials train four steps."""
    form = {"domain": domain, "size": 16, "channels": 1}
    source = {"steps": 3, "batch_size": 4}
    tiny: dict[str, Any] = {
        "data": {"source": form, "target": form},
        "model": {
            "generator": {"width": 4, "blocks": 1},
            "discriminator": {"width": 4, "layers": 2},
            "feature_discriminator": {"width": 8},
        },
        "training": {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "source": source},
    }
    return make_search(**tiny | sections)


def make_splits(*, test_samples: int = 12) -> Splits:
    """Splits of noise; class 0 is half of the test set, the classes 1 and 2 are a quarter each."""
    random = np.random.default_rng(1)
    trial = make_data()
    train_labels = np.arange(len(trial.target_train_images)) % CLASSES
    test_labels = np.resize(np.array([0, 1, 0, 2]), test_samples)
    withheld = WithheldData(
        target_train_images=trial.target_train_images,
        target_train_labels=train_labels,
        target_test_images=in_memory(
            random.integers(0, 256, (test_samples, 1, 16, 16), dtype=np.uint8)
        ),
        target_test_labels=test_labels,
    )
    domain = identify_domain([], test_labels, trial.class_names, {})
    identity = DataIdentity(domain, domain, identify_split({}))
    return Splits(trial=trial, withheld=withheld, indices={}, identity=identity)


def opened(splits: Splits) -> Any:
    """Return splits as if their images were still to be prepared."""
    return SimpleNamespace(
        target_labelled=splits.trial.target_labelled,
        target_val_labels=splits.trial.target_val_labels,
        class_names=splits.trial.class_names,
        notes=(),
        missing_chunks=list,
        load=lambda progress=None: splits,
    )


def constant_classifier(spec: TrialSpec, label: int, classes: int = CLASSES) -> StateDict:
    """Weights of a classifier that predicts one class for all images."""
    classifier = build_classifier(spec.model.classifier, spec.data.source, classes)
    weights = dict(classifier.state_dict())
    *_, last_weight, last_bias = weights
    weights[last_weight] = torch.zeros_like(weights[last_weight])
    weights[last_bias] = torch.eye(classes)[label]
    return weights


def save_checkpoint(
    spec: SearchSpec,
    folder: ResultsFolder,
    number: int,
    values: Mapping[str, Any],
    record: EpochRecord,
    label: int,
    inputs: TrialInputs = INPUTS,
    leader: int | None = None,
) -> None:
    """Write the checkpoint of an epoch after which f_T predicts `label` for all images."""
    job = make_job(spec, number, values, folder, inputs, leader=leader)
    weights = constant_classifier(job.spec, label)
    state = build_state(job.spec, CLASSES, weights, torch.device("cpu"))
    save(job.checkpoints, state, record)


def make_run(
    path: Path,
    spec: SearchSpec | None = None,
    study: SearchStudy | None = None,
    splits: Splits | None = None,
) -> SearchRun:
    """A run whose f_S predicts class 1 for all images, and whose console writes to a buffer."""
    spec = spec or make_tiny_search()
    study = study or create_study(spec)
    splits = splits or make_splits()
    weights = constant_classifier(spec.trial({}), 1)
    tasks: Any = LocalTasks()
    capacity: Any = lambda unfinished: 1  # noqa: E731
    shared: Any = SharedRefs(splits.trial, weights)
    return SearchRun(
        spec=spec,
        splits=splits,
        plan=PLAN,
        folder=ResultsFolder(path),
        console=Console(file=StringIO(), width=200),
        study=study,
        clock=WallClock(study, time.perf_counter()),
        tasks=tasks,
        capacity=capacity,
        source_weights=weights,
        source_classifier_s=0.5,
        shared=shared,
        inputs=INPUTS,
    )


@dataclass
class SimulatedTrials:
    """The data, the preparation and the trials of a search, without a cluster.

    Attributes:
        labels: class that f_T of each trial predicts for all images; None for a trial that fails,
            and LOST for one whose checkpoint cannot be read.
        splits: data of the search.
        searches: names of the searches that ran their trials.
    """

    labels: Sequence[int | None]
    splits: Splits = field(default_factory=make_splits)
    searches: list[str] = field(default_factory=list)

    def open_splits(self, data: object, seed: int) -> Any:
        return opened(self.splits)

    def load_splits(self, data: object, seed: int) -> Splits:
        return self.splits

    def prepare_run(
        self,
        spec: SearchSpec,
        splits: Splits,
        plan: PlacementPlan,
        folder: ResultsFolder,
        console: Console,
        *,
        start: float,
        lease: DriverLease | None = None,
    ) -> SearchRun:
        study = open_study(spec, folder.journal)
        record_inputs(
            study,
            data=INPUTS.data,
            source_classifier=INPUTS.source_classifier,
            device="CPU",
            images=9,
        )
        run = make_run(folder.path, spec, study, splits)
        lease = lease or DriverLease()
        return replace(run, plan=plan, folder=folder, console=console, lease=lease)

    def run_trials(self, run: SearchRun) -> None:
        self.searches.append(run.spec.name)
        for label in self.labels[len(run.study.started_trials()) :]:
            trial = run.study.ask()
            record = make_record(run.spec.epochs, 0.5)
            run.study.add_epoch(trial, record, 0.5)
            error = "step 3: the cycle term is nan" if label is None else None
            run.study.tell_result(trial, epochs=run.spec.epochs, error=error, wall_s=1.0)
            if label is not None and label != LOST:
                save_checkpoint(run.spec, run.folder, trial.number, trial.params, record, label)


def fail_with(monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException) -> None:
    """Let a function of the module `workflows.search` raise an error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"adaptune.workflows.search.{function}", fail)


def printed(console: Console) -> str:
    """Text that was printed to the console of `make_run`."""
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def make_summary(**figures: Any) -> Summary:
    """The summary of a search of three trials, one of them failed."""
    none = dict.fromkeys(Summary.model_fields)
    counts = {"trials_total": 3, "trials_complete": 2, "trials_pruned": 0, "trials_failed": 1}
    costs = {
        "device_s_useful": 12.0,
        "device_s_pruned": 0.0,
        "device_s_failed": 1.5,
        "device_s_overhead": 2.0,
        "device_s_saved_by_stopping_estimated": 0.0,
    }
    values: dict[str, Any] = {
        "format": 2,
        "name": "small",
        "method": "cycada",
        "source": "mnist5k",
        "target": "optdigits",
        "metric": "target_val_accuracy",
        "execution": "in_process",
        "workers_per_trial": 1,
        "classifiers_per_gan": 1,
        "trials_unhealthy": {},
        "target_test_evaluations": 0,
        "verdict": "It helped.",
        "wall_s": 9.0,
        "source_classifier_s": 0.5,
        "seed": 0,
        "version": "0.1.0",
    }
    return Summary.model_validate(none | counts | costs | values | figures)
