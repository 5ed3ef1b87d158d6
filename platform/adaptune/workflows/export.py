"""Export of a trial of a search, for `export`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adaptune.artifacts.export import write_export
from adaptune.artifacts.format import PortableFormat, Role
from adaptune.data.array_types import Images
from adaptune.data.image_set import ImageSet
from adaptune.data.splits import TrialData, load_splits
from adaptune.errors import DataError, ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import open_existing
from adaptune.results.splits_manifest import stored_class_names, write_or_verify
from adaptune.spec.schema import SearchSpec
from adaptune.study.inputs import read_inputs
from adaptune.study.job import make_job
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyEpoch, StudyTrial

_SAMPLES = 7  # images of each domain on which portable files are compared with torch


@dataclass(frozen=True)
class TrialExport:
    """An exported trial.

    Attributes:
        checkpoint: its checkpoint in words.
        folder: folder of the export.
    """

    checkpoint: str
    folder: Path


def export_trial(
    path: Path,
    number: int | None = None,
    to: Path | None = None,
    formats: Collection[PortableFormat] = (),
) -> TrialExport:
    """Export the best checkpoint of a trial, without an evaluation on the held-out test set.

    Args:
        path: results folder of the search.
        number: number of the trial; None is the best one.
        to: folder of the export; None is `exports/<number>` in the results folder.
        formats: portable formats, which need the data of the search.

    Raises:
        ResultsError: there is no such trial, it has no checkpoint, or see `write_export`.
        CheckpointError: the checkpoint cannot be read.
        DataError: the data of the search cannot be loaded.
        SpecError: a package that a format needs is not installed.
    """
    folder, spec = open_existing(path)
    study = read_study(spec, folder.journal)
    trial = _choose_trial(study, number)
    best = _best_epoch(trial)
    inputs = read_inputs(study)
    job = make_job(spec, trial.number, trial.values, folder, inputs, leader=trial.leader)
    checkpoint = job.checkpoints.load(best.number)
    samples = None
    if formats:
        samples = _samples(_load_data(spec, folder))
    export = write_export(
        to or folder.path / "exports" / str(trial.number),
        spec=job.spec,
        class_names=stored_class_names(folder),
        checkpoint=checkpoint,
        metrics=_metrics(trial, best),
        formats=formats,
        samples=samples,
    )
    return TrialExport(f"trial {trial.number}, epoch {best.number}", export)


def _choose_trial(study: SearchStudy, number: int | None) -> StudyTrial:
    if number is None:
        best = study.best_trial()
        if best is None:
            raise ResultsError("no trial has finished yet: name one with --trial")
        return best
    trials = {trial.number: trial for trial in study.started_trials()}
    if number not in trials:
        numbers = ", ".join(str(number) for number in trials) or "none"
        raise ResultsError(f"there is no trial {number}; there are {numbers}")
    return trials[number]


def _best_epoch(trial: StudyTrial) -> StudyEpoch:
    if trial.best_epoch is None:
        raise ResultsError(
            f"trial {trial.number} has not finished an epoch: it has no checkpoint to export"
        )
    return trial.best_epoch


def _metrics(trial: StudyTrial, best: StudyEpoch) -> dict[str, object]:
    return {
        "trial": trial.number,
        "epoch": best.number,
        "target_val_accuracy": best.record.target_val_accuracy,
        "target_val_loss": best.record.target_val_loss,
        "target_val_metrics": best.record.target_metrics(),
    }


def _load_data(spec: SearchSpec, folder: ResultsFolder) -> TrialData:
    """Return the data of a search.

    Raises:
        DataError: it cannot be loaded.
        ResultsError: it is not the data of the search.
    """
    try:
        splits = load_splits(spec.data, spec.seed)
    except DataError as error:
        raise DataError(
            f"portable files are compared with torch on images of the search: {error}; make them"
            " available, or export without --format"
        ) from error
    write_or_verify(splits, folder)
    return splits.trial


def _samples(data: TrialData) -> dict[Role, Images]:
    """Return some images of each domain, uint8 (N, C, S, S)."""
    images: dict[Role, ImageSet] = {
        "source": data.source_val_images,
        "target": data.target_val_images,
    }
    samples: dict[Role, Images] = {}
    for role, available in images.items():
        samples[role] = available.take(np.arange(min(_SAMPLES, len(available))))
    return samples
