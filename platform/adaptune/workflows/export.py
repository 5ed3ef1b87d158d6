"""Export of a trial of a search, for `export`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from adaptune.artifacts.export import write_export
from adaptune.artifacts.format import CLASSIFIER, NETWORKS, PortableFormat, Role
from adaptune.data.array_types import Images
from adaptune.data.image_set import ImageSet
from adaptune.data.splits import TrialData, load_splits
from adaptune.errors import DataError, ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import open_existing
from adaptune.results.splits_manifest import stored_class_names, write_or_verify
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.study.inputs import read_inputs
from adaptune.study.job import make_job
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyEpoch, StudyTrial, find_trial
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.temperature import CalibrationData, TargetCalibration, calibrate_weights

_SAMPLES = 7  # images of each domain on which portable files are compared with torch


@dataclass(frozen=True)
class TrialExport:
    """An exported trial.

    Attributes:
        checkpoint: its checkpoint in words.
        folder: folder of the export.
        uncalibrated: why its probabilities are not calibrated for the target; None if they are.
    """

    checkpoint: str
    folder: Path
    uncalibrated: str | None = None


def export_trial(
    path: Path,
    number: int | None = None,
    to: Path | None = None,
    formats: Collection[PortableFormat] = (),
) -> TrialExport:
    """Export the best checkpoint of a trial, without an evaluation on the held-out test set.

    Args:
        path: results folder of the search. If its data can be loaded, f_T is calibrated.
        number: number of the trial; None is the best one.
        to: folder of the export; None is `exports/<number>` in the results folder.
        formats: portable formats, which need that data.

    Raises:
        ResultsError: there is no such trial, it has no checkpoint, or see `write_export`.
        CheckpointError: the checkpoint cannot be read.
        DataError: the data of the search cannot be loaded, but a format needs it.
        SpecError: a package that a format needs is not installed.
    """
    folder, spec = open_existing(path)
    study = read_study(spec, folder.journal)
    trial = _choose_trial(study, number)
    best = _best_epoch(trial)
    inputs = read_inputs(study)
    job = make_job(spec, trial.number, trial.values, folder, inputs, leader=trial.leader)
    checkpoint = job.checkpoints.load(best.number)
    data, uncalibrated = _load_data(spec, folder, is_required=bool(formats))
    calibration = None
    if data is not None:
        calibration, uncalibrated = _calibrate(job.spec, checkpoint, data)
    export = write_export(
        to or folder.path / "exports" / str(trial.number),
        spec=job.spec,
        class_names=stored_class_names(folder),
        checkpoint=checkpoint,
        metrics=_metrics(trial, best),
        calibration=calibration,
        formats=formats,
        samples=None if data is None else _samples(data),
    )
    return TrialExport(f"trial {trial.number}, epoch {best.number}", export, uncalibrated)


def _calibrate(
    spec: TrialSpec, checkpoint: Mapping[str, object], data: TrialData
) -> tuple[TargetCalibration | None, str | None]:
    """Return the calibration of f_T, or why there is none."""
    weights = eval_weights(checkpoint, NETWORKS[CLASSIFIER])
    needed = CalibrationData.of(data)
    calibration = calibrate_weights(spec, weights, needed, torch.device("cpu"))
    if calibration is None:
        return None, "too few images of source_val resemble those of the target"
    return calibration, None


def _choose_trial(study: SearchStudy, number: int | None) -> StudyTrial:
    if number is None:
        best = study.best_trial()
        if best is None:
            raise ResultsError("no trial has finished yet: name one with --trial")
        return best
    return find_trial(study.started_trials(), number)


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


def _load_data(
    spec: SearchSpec, folder: ResultsFolder, *, is_required: bool
) -> tuple[TrialData | None, str | None]:
    """Return the data of a search, or why it cannot be loaded.

    Raises:
        DataError: it cannot be loaded, but is required.
    """
    try:
        splits = load_splits(spec.data, spec.seed)
        write_or_verify(splits, folder)
    except (DataError, ResultsError) as error:
        if is_required:
            raise DataError(
                f"programs are compared with torch on images of the search: {error}; restore the"
                " data, or export without --format"
            ) from error
        return None, str(error)
    return splits.trial, None


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
