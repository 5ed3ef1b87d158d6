"""Writing of an export: weights as safetensors, and all that loading and judging them needs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from pydantic_core import from_json, to_json
from torch import Tensor

from adaptune.artifacts.format import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    EXPORT_FILES,
    FORMAT,
    METRICS_FILE,
    MODEL_CARD_FILE,
    NETWORKS,
    SERVE_FILE,
    ExportConfig,
    ExportDomains,
    PortableFormat,
    Role,
    weights_file,
)
from adaptune.artifacts.load import build_export
from adaptune.artifacts.model_card import model_card
from adaptune.data.array_types import Images
from adaptune.errors import ResultsError
from adaptune.files import make_folder, rename, write_file
from adaptune.signals import stop_deferred
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.temperature import TargetCalibration
from adaptune.version import __version__


def write_export(
    folder: Path,
    *,
    spec: TrialSpec,
    class_names: tuple[str, ...],
    checkpoint: Mapping[str, object],
    metrics: Mapping[str, object],
    calibration: TargetCalibration | None = None,
    formats: Collection[PortableFormat] = (),
    samples: Mapping[Role, Images] | None = None,
) -> Path:
    """Write the networks of a checkpoint to `folder`, replacing an earlier export in it.

    The export is written next to `folder`, and then renamed. Files that a user added to the earlier
    export are kept.

    Args:
        spec: the trial that was trained.
        class_names: one name per logit of f_T, in order.
        checkpoint: what `CheckpointFolder.load` returns. The moving average of a network is
            exported if the checkpoint has one.
        metrics: values for `metrics.json` and the model card; `verdict` is a text. NumPy and torch
            values become numbers, and non-finite numbers become null.
        calibration: calibration of f_T for the target, if there is one.
        formats: portable formats that are written besides the weights.
        samples: images of each domain, uint8 (N, C, S, S), on which the portable files are compared
            with torch; required with `formats`.

    Returns:
        The folder's absolute path.

    Raises:
        ResultsError: `folder` contains something else, it cannot be written, or a portable file
            gives other results than torch.
        SpecError: a package that a format needs is not installed.
    """
    config = export_config(spec, class_names, calibration)
    folder = folder.resolve()
    _write_folder(folder, partial(_contents, config, checkpoint, metrics, formats, samples))
    return folder


def _write_folder(folder: Path, make_contents: Callable[[], Mapping[str, bytes]]) -> None:
    """Write the files of an export, unless the folder holds something else."""
    staging = folder.with_name(f".{folder.name}.part")
    previous = folder.with_name(f".{folder.name}.old")
    try:
        _require_replaceable(folder)
        contents = make_contents()
        _recover_interrupted_export(folder, staging, previous)
        make_folder(staging)
        for name, body in contents.items():
            write_file(staging / name, body)
        _replace(folder, staging, previous)
    except KeyboardInterrupt:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise ResultsError(f"cannot write the export {folder}: {error}") from error


def export_config(
    spec: TrialSpec, class_names: tuple[str, ...], calibration: TargetCalibration | None = None
) -> ExportConfig:
    """Return the contents of `config.json` for a trial."""
    return ExportConfig(
        format=FORMAT,
        adaptune=__version__,
        method=spec.method,
        class_names=class_names,
        data=ExportDomains(source=spec.data.source, target=spec.data.target),
        model=spec.model,
        loss_weights=spec.loss_weights,
        training=spec.training,
        seed=spec.seed,
        calibration=calibration,
    )


def _contents(
    config: ExportConfig,
    checkpoint: Mapping[str, object],
    metrics: Mapping[str, object],
    formats: Collection[PortableFormat],
    samples: Mapping[Role, Images] | None,
) -> dict[str, bytes]:
    """Return the contents of all files of the export by name."""
    from safetensors.torch import save

    weights = {name: save(_weights(checkpoint, network)) for name, network in NETWORKS.items()}
    contents = {weights_file(name): body for name, body in weights.items()}
    if formats:
        from adaptune.artifacts.portable_files import portable_files  # imports take seconds

        assert samples is not None
        export = build_export(config, weights, torch.device("cpu"))
        files, checks = portable_files(export, formats, samples)
        contents |= files
        metrics = {**metrics, "portable_files": checks}
    metrics_json = _to_json(metrics)
    contents[CONFIG_FILE] = _to_json(config)
    contents[METRICS_FILE] = metrics_json
    contents[MODEL_CARD_FILE] = model_card(config, from_json(metrics_json)).encode()
    template = resources.files("adaptune.artifacts").joinpath(f"{SERVE_FILE}.jinja")
    contents[SERVE_FILE] = template.read_bytes()
    contents[CHECKSUMS_FILE] = _checksums(contents)
    return contents


def _weights(checkpoint: Mapping[str, object], network: str) -> dict[str, Tensor]:
    weights = eval_weights(checkpoint, network)
    return {key: value.detach().cpu().contiguous() for key, value in weights.items()}


def _checksums(contents: Mapping[str, bytes]) -> bytes:
    """Return lines in the format of `sha256sum`."""
    lines: list[str] = []
    for name, body in sorted(contents.items()):
        digest = hashlib.sha256(body).hexdigest()
        lines.append(f"{digest}  {name}\n")
    return "".join(lines).encode()


def _to_json(value: object) -> bytes:
    return to_json(value, indent=2, inf_nan_mode="null", fallback=_to_python) + b"\n"


def _to_python(value: object) -> object:
    """Return a value that pydantic cannot serialise as numbers or text."""
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    return str(value)


def _require_replaceable(folder: Path) -> None:
    """Refuse a folder that is not an export, because replacing it would delete it."""
    if not folder.exists():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if not (folder / CONFIG_FILE).is_file() or not (folder / CHECKSUMS_FILE).is_file():
        raise ResultsError(
            f"{folder} is not an export and is left alone: name a new or empty folder"
        )


def _recover_interrupted_export(folder: Path, staging: Path, previous: Path) -> None:
    """Clean up after an export that was killed; `folder` itself is always complete or missing."""
    if staging.exists():
        shutil.rmtree(staging)
    if previous.exists() and not folder.exists():
        rename(previous, folder)
    _remove_previous(previous, folder)


def _replace(folder: Path, staging: Path, previous: Path) -> None:
    with stop_deferred():  # between the two, there is no export
        if folder.exists():
            rename(folder, previous)
        rename(staging, folder)
        _remove_previous(previous, folder)


def _remove_previous(previous: Path, folder: Path) -> None:
    """Delete an earlier export after the files that a user added to it were moved to `folder`."""
    if not previous.exists():
        return
    for entry in previous.iterdir():
        if entry.name not in EXPORT_FILES and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
    shutil.rmtree(previous)
