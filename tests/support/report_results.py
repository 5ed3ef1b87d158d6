"""A results folder with everything that a report shows, without training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from optuna.trial import TrialState
from PIL import Image

from adaptune.data.image_set import in_memory
from adaptune.evaluation.changed_images import find_changed_images, write_changed_images
from adaptune.evaluation.held_out import TrialCheckpoint
from adaptune.evaluation.summary import summarise, write_summary
from adaptune.evaluation.test_scores import score_on_test
from adaptune.report.data_findings import DataFinding
from adaptune.report.page import write_report
from adaptune.report.stored_inspection import StoredInspection, write_inspection
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.results.splits_manifest import stored_identity, write_or_verify
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy
from adaptune.training.metrics import Predictions
from support.fake_run import make_run, make_splits
from support.fake_search import SPACE, make_search, simulate, smooth

CLASS_NAMES = tuple(str(digit) for digit in range(10))
WIDE_SPACE = {
    **SPACE,
    "loss_weights.semantic": {"search": "loguniform", "low": 0.01, "high": 3},
    "model.generator.name": {"search": "choice", "values": ["unshuffle", "resnet"]},
}
START_POINTS = [
    {
        "loss_weights.cycle": cycle,
        "loss_weights.identity": 0.5,
        "loss_weights.semantic": 0.3,
        "model.generator.name": "resnet",
    }
    for cycle in (1.0, 10.0)
]


def searched_report(
    path: Path,
    *,
    trials: int = 16,
    epochs: int = 9,
    pictures: bool = True,
    finished: bool = True,
    sampler: str = "tpe",
) -> Path:
    """Write the report of a simulated search, and return its path.

    Args:
        path: its results folder, in a folder of all results.
        pictures: whether all trials have kept their sample grids.
        finished: whether there is a summary, as after the end of the search.
        sampler: name of the sampler.
    """
    spec = make_search(
        WIDE_SPACE,
        search={
            "trials": trials,
            "startup_trials": 6,
            "start_points": START_POINTS,
            "sampler": {"name": sampler},
            "scheduler": {"name": "asha", "grace_epochs": 2},
        },
        training={"epochs": epochs},
    )
    study = simulate(spec, None, _noisy, concurrency=3)
    _spread_in_time(study)
    folder = ResultsFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    if pictures:
        save_grids(folder, study)
    if finished:
        _finish(path, spec, study)
        _store_inspection(folder)
    return write_report(folder, spec, study)


def save_grids(folder: ResultsFolder, study: SearchStudy) -> None:
    """Write a sample grid for each epoch of each trial."""
    random = np.random.default_rng(5)
    pngs = [grid(random) for _ in range(21)]
    for trial in study.started_trials():
        for epoch in trial.epochs:
            folder.checkpoints(trial.leader).save_sample_grid(
                epoch.number, pngs[(trial.number + epoch.number) % len(pngs)]
            )


def grid(random: np.random.Generator) -> bytes:
    """A sample grid of smooth images, as PNG."""
    coarse = random.integers(0, 256, (25, 50, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((342, 172), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def _noisy(values: Mapping[str, Any], epoch: int) -> float:
    noise = np.random.default_rng([epoch, round(1e6 * values["loss_weights.semantic"])])
    return float(np.clip(0.95 * smooth(values, epoch) + 0.02 * noise.standard_normal(), 0, 1))


def _spread_in_time(study: SearchStudy) -> None:
    """Give the trials times as if three runners had trained them."""
    free = [datetime(2026, 1, 1)] * 3
    for trial in study.optuna_study.get_trials(deepcopy=False):
        runner = free.index(min(free))
        trial.datetime_start = free[runner]
        free[runner] += timedelta(seconds=3 + 2.5 * len(trial.intermediate_values))
        if trial.state != TrialState.RUNNING:
            trial.datetime_complete = free[runner] - timedelta(seconds=1)


def _finish(path: Path, spec: SearchSpec, study: SearchStudy) -> None:
    run = make_run(path, spec, study)
    best = study.best_trial()
    assert best is not None
    assert best.best_epoch is not None
    checkpoint = TrialCheckpoint(
        best.number, best.values, spec.trial(best.values), best.best_epoch.record, {}
    )
    random = np.random.default_rng(3)
    labels = random.integers(0, 10, 600)
    predictions = {
        name: _predictions(random, labels, accuracy)
        for name, accuracy in (("source_only", 0.6), ("no_gan", 0.75), ("adapted", 0.88))
    }
    scores = score_on_test(predictions, seed=1)
    pixels = in_memory(random.integers(0, 256, (len(labels), 3, 28, 28), dtype=np.uint8))
    changed = find_changed_images(
        checkpoint.name, predictions["source_only"], predictions["adapted"], pixels
    )
    write_changed_images(changed, run.folder.changed_images)
    summary = summarise(run, best=checkpoint, scores=scores, evaluations=1, wall_s=312.0)
    write_summary(summary, run.folder.summary)
    rows = {"configuration": ["trial"], "seeds": [3], "mean": [0.91], "standard_error": [0.005]}
    (path / "confirm").mkdir(parents=True, exist_ok=True)
    write_table(path / "confirm" / "confirm.parquet", pa.table(rows))


def _store_inspection(folder: ResultsFolder) -> None:
    """Write what an inspection of the data could have found."""
    indices = {"source_train": np.arange(1400), "target_test": np.arange(600)}
    write_or_verify(replace(make_splits(), indices=indices), folder)
    copy = "target_test 4/00017.png is in source_train: 4/a-rather-long-name-00321.png (same file)"
    inspection = StoredInspection(
        findings=(
            DataFinding("fault", "1 image of target_test is also in the source."),
            DataFinding("warning", "The largest class of the source has 3.1 times as many images."),
        ),
        leaks=(copy,),
        counts=Table(("class", "source_train", "target_test"), [("4", "140", "60")]),
        stored=Table(("domain", "images", "stored as"), [("source", "1,400", "PNG, 8 bit")]),
        statistics=Table(("domain", "contrast of an image"), [("source", "61")]),
    )
    write_inspection(inspection, folder.inspection(stored_identity(folder).digest))


def _predictions(
    random: np.random.Generator, labels: np.ndarray[Any, Any], accuracy: float
) -> Predictions:
    predicted = np.where(random.random(len(labels)) < accuracy, labels, (labels * 3 + 1) % 10)
    return Predictions(np.eye(10)[predicted], labels, CLASS_NAMES)
