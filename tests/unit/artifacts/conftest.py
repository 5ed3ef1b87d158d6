"""A tiny trial, its checkpoint and its export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_trial import make_record, save

from adaptune.artifacts import Export, load_export, write_export
from adaptune.artifacts.format import PORTABLE_FORMATS
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.state import TrainingState, build_state

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="session")
def spec() -> TrialSpec:
    return TrialSpec.model_validate(
        {
            "seed": 3,
            "data": {
                "source": {"domain": "imagefolder:source", "size": 16, "channels": 3, "crop": 24},
                "target": {"domain": "imagefolder:target", "size": 16, "channels": 3, "crop": 12},
            },
            "model": {
                "generator": {"width": 4, "blocks": 1},
                "discriminator": {"width": 4, "layers": 1},
                "feature_discriminator": {"width": 4},
            },
            "training": {"pool_size": 2, "ema_decay": 0.9},
        }
    )


@pytest.fixture(scope="session")
def state(spec: TrialSpec) -> TrainingState:
    """The averages of the generators differ from the networks; f_T has no average."""
    torch.manual_seed(0)
    f_s = build_classifier(spec.model.classifier, spec.data.source, len(CLASSES))
    state = build_state(spec, len(CLASSES), f_s.state_dict(), torch.device("cpu"))
    for average in state.averages.values():
        for parameter in average.module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return state


@pytest.fixture(scope="session")
def checkpoint(state: TrainingState, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = CheckpointFolder(str(tmp_path_factory.mktemp("checkpoints")))
    save(folder, state, make_record())
    return folder.load(1)


Write = Callable[..., Path]


@pytest.fixture
def write(spec: TrialSpec, checkpoint: dict[str, Any]) -> Write:
    """Writes an export to a folder."""

    def _write(folder: Path, **metrics: object) -> Path:
        return write_export(
            folder,
            spec=spec,
            class_names=CLASSES,
            checkpoint=checkpoint,
            metrics=metrics or {"accuracy": 0.5},
        )

    return _write


@pytest.fixture(scope="session")
def portable(
    spec: TrialSpec, checkpoint: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An export with portable files in all formats; tests must not change it."""
    noise = np.random.default_rng(0).integers(0, 256, (7, 3, 16, 16), dtype=np.uint8)
    return write_export(
        tmp_path_factory.mktemp("portable") / "best",
        spec=spec,
        class_names=CLASSES,
        checkpoint=checkpoint,
        metrics={"accuracy": 0.5},
        formats=PORTABLE_FORMATS,
        samples={"source": noise, "target": noise},
    )


@pytest.fixture
def best(write: Write, tmp_path: Path) -> Path:
    return write(tmp_path / "best")


@pytest.fixture
def export(best: Path) -> Export:
    return load_export(best)


def save_image(path: Path, seed: int = 0, edge: int = 28) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (edge, edge, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def image() -> Callable[..., Path]:
    """Saves a random image."""
    return save_image
