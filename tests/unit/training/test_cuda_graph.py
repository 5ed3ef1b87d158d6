from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_spec, on_disk

from adaptune.data.splits import TrialData
from adaptune.training import cuda_graph
from adaptune.training.cuda_graph import recorder_of
from adaptune.training.steps.batch import TrainingImages


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_updates_are_recorded_only_if_the_spec_asks_for_it(
    setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert recorder_of(make_spec(cuda_graph=setting), TrainingImages(make_data(), CPU)) is None
    assert not caplog.records


def test_without_a_gpu_a_trial_says_that_nothing_is_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert recorder_of(make_spec(cuda_graph="on"), TrainingImages(make_data(), CPU)) is None
    assert "has no effect on this trial: there is no GPU" in caplog.text


CUDA = torch.device("cuda", 0)


def on_gpu(data: TrialData) -> TrainingImages:
    """Return images on the CPU that pass for images on a GPU."""
    images = TrainingImages(data, CPU)
    images.device = CUDA
    return images


def test_a_trial_of_one_worker_on_a_gpu_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graph, "CudaRecorder", lambda device: device)
    assert recorder_of(make_spec(cuda_graph="on"), on_gpu(make_data())) == CUDA


def test_workers_that_exchange_gradients_are_not_recorded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graph, "world_size", lambda: 2)
    assert recorder_of(make_spec(cuda_graph="on"), on_gpu(make_data())) is None
    assert "exchange gradients" in caplog.text


def test_images_that_are_read_from_disk_are_not_recorded(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    images = on_gpu(on_disk(make_data(), tmp_path / "images"))
    assert not images.is_stored
    assert recorder_of(make_spec(cuda_graph="on"), images) is None
    assert "data.resident_gb" in caplog.text
