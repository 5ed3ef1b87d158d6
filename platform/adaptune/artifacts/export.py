"""Writes an export: weights without pickle, and all that is needed to use and to judge them."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from adaptune import __version__
from adaptune.artifacts.format import (
    ALL,
    CARD,
    CONFIG,
    FORMAT,
    METRICS,
    NETWORKS,
    SUMS,
    weights_file,
)
from adaptune.artifacts.model_card import model_card
from adaptune.errors import ResultsError
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import eval_weights


def write_export(
    folder: Path,
    *,
    spec: TrialSpec,
    class_names: tuple[str, ...],
    checkpoint: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> Path:
    """Write the networks of a checkpoint to `folder`; an export that lies there already is replaced.

    The new one is made beside it and moved in whole. Files that were added to the old one are kept.

    Args:
        checkpoint: as `CheckpointFolder.load` gives it; moving averages are taken where there are any.
        metrics: figures for `metrics.json` and the model card; `verdict` is a sentence of its own there.

    Returns:
        The folder.

    Raises:
        ResultsError: something else lies at `folder`, or it cannot be written.
    """
    folder = folder.resolve()
    draft, retired = (folder.with_name(f".{folder.name}.{end}") for end in ("part", "old"))
    try:
        _check_replaceable(folder)
        _finish_interrupted(folder, draft, retired)
        draft.mkdir(parents=True)
        _fill(draft, spec, class_names, checkpoint, metrics)
        if folder.exists():
            folder.rename(retired)
        draft.rename(folder)
        _clear_away(retired, folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise ResultsError(f"cannot write the export {folder}: {error}") from error
    return folder


def _fill(
    folder: Path,
    spec: TrialSpec,
    class_names: tuple[str, ...],
    checkpoint: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> None:
    from safetensors.torch import save

    plain = _plain(metrics)
    config = _config(spec, class_names)
    contents = {
        weights_file(name): save(_weights(checkpoint, network))
        for name, network in NETWORKS.items()
    }
    contents[CONFIG] = _json(config)
    contents[METRICS] = _json(plain)
    contents[CARD] = model_card(spec, class_names, plain).encode()
    sums = [
        f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(contents.items())
    ]
    for name, body in contents.items():
        (folder / name).write_bytes(body)
    (folder / SUMS).write_bytes("".join(sums).encode())


def _weights(checkpoint: Mapping[str, Any], network: str) -> dict[str, Tensor]:
    weights = eval_weights(checkpoint, network)
    return {key: value.detach().cpu().contiguous() for key, value in weights.items()}


def _config(spec: TrialSpec, class_names: tuple[str, ...]) -> dict[str, Any]:
    tree = spec.model_dump(mode="json")
    return {
        "format": FORMAT,
        "adaptune": __version__,
        "method": tree["method"],
        "class_names": list(class_names),
        "data": {role: tree["data"][role] for role in ("source", "target")},
        **{section: tree[section] for section in ("model", "loss_weights", "training", "seed")},
    }


def _json(tree: object) -> bytes:
    return (json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers of NumPy and torch become Python's, non-finite ones null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _check_replaceable(folder: Path) -> None:
    """Replacing a folder deletes it, so it had better be an export."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CONFIG).is_file() or not (folder / SUMS).is_file():
        raise ResultsError(
            f"{folder} is not an export and is left alone: name a new or empty folder"
        )


def _finish_interrupted(folder: Path, draft: Path, retired: Path) -> None:
    """Clean up after an export that was killed half-way; the folder itself is always an old or a new one."""
    if draft.exists():
        shutil.rmtree(draft)
    if retired.exists() and not folder.exists():
        retired.rename(folder)
    _clear_away(retired, folder)


def _clear_away(retired: Path, folder: Path) -> None:
    if not retired.exists():
        return
    for entry in retired.iterdir():
        if entry.name not in ALL and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
    shutil.rmtree(retired)
