from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_time import fake_time

from adaptune.data.image_files import ImageFiles
from adaptune.data.store import open_store, prepare_missing
from adaptune.spec.data import DomainSpec
from adaptune.workflows import preparation as module
from adaptune.workflows.preparation import estimate_preparation

FORM = DomainSpec.model_validate({"domain": "imagefolder:x", "size": 16, "channels": 3})


def write_images(folder: Path, count: int) -> ImageFiles:
    files = []
    for index in range(count):
        files.append(str(folder / f"{index}.png"))
        Image.fromarray(np.full((16, 16, 3), index, np.uint8)).save(files[-1])
    return ImageFiles(tuple(files))


def test_a_sample_of_the_images_stands_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([5.0, 5.8])
    fake_time(monkeypatch, module, perf_counter=lambda: next(seconds))
    monkeypatch.setattr(module.joblib, "cpu_count", lambda: 2)
    # Ten images in the mean and twenty at most: where a chunk ends depends on the files' paths.
    monkeypatch.setattr("adaptune.data.store.CHUNK_BYTES", 10 * 3 * 16**2)
    images = open_store(tmp_path / "cache", write_images(tmp_path, 40), FORM)
    estimate = estimate_preparation(images.chunks)
    # At most eight images of each chunk took 0.8 s, and two processes work at a time.
    assert len(images.chunks) > 1
    sample = sum(min(8, len(chunk.source)) for chunk in images.chunks)
    assert estimate.seconds == pytest.approx(40 * 0.8 / sample / 2)
    assert estimate.nbytes == 40 * 3 * 16**2
    assert not (tmp_path / "cache").exists()


def test_prepared_images_need_nothing(tmp_path: Path) -> None:
    assert estimate_preparation([]) == module.PreparationEstimate(0.0, 0)


def test_the_size_is_that_of_the_prepared_files(tmp_path: Path) -> None:
    images = open_store(tmp_path / "cache", write_images(tmp_path, 100), FORM)
    estimate = estimate_preparation(images.chunks)
    prepare_missing(images, workers=1)
    written = sum(file.stat().st_size for file in (tmp_path / "cache").iterdir())
    assert written == pytest.approx(estimate.nbytes, rel=0.15)
