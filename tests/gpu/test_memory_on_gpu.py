"""Memory of CUDA devices: what is kept there, what passes by, and what is returned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.on_gpu import EVERYTHING, cuda
from support.tiny_trial import make_data, make_spec, on_disk

from adaptune.cluster.doctor import check_machine
from adaptune.cluster.local_resources import local_resources
from adaptune.cluster.node_probe import probe_node
from adaptune.cluster.tasks import task_device
from adaptune.data.device_images import DeviceImages
from adaptune.data.prefetch import Prefetcher
from adaptune.data.residency import fits_on_device
from adaptune.errors import TrialCrashedError
from adaptune.execution.cause import crash_reported
from adaptune.execution.runtime import WorkerRuntime
from adaptune.training import calibration as module
from adaptune.training.calibration import calibrate
from adaptune.training.calibration_data import DataSizes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BLOCK = 256 * 2**20
SIZES = DataSizes(classes=3, source_train=14, source_val=6, target_train=11, target_val=9)


def test_streamed_images_pass_through_pinned_memory(tmp_path: Path) -> None:
    images = on_disk(make_data(), tmp_path / "images").source_train_images
    indices = torch.tensor([3, 0, 5])
    assert Prefetcher(images, is_pinned=True).take(indices).is_pinned()
    streamed = DeviceImages(images, None, cuda(), is_resident=False)
    resident = DeviceImages(images, None, cuda())
    streamed.expect(indices)
    batch = streamed.take(indices)
    assert batch.device == cuda()
    assert torch.equal(batch, resident.take(indices))


def test_images_stay_on_a_gpu_if_they_take_little_of_its_free_memory() -> None:
    free, _ = torch.cuda.mem_get_info(cuda())
    assert fits_on_device(free // 8, cuda(), None)
    assert not fits_on_device(free // 2, cuda(), None)
    assert not fits_on_device(free // 8, cuda(), None, share=0.25)


def test_a_runner_returns_memory_that_cycles_of_references_hold() -> None:
    runtime = WorkerRuntime(make_data(), {}, cuda())
    before = torch.cuda.memory_reserved(cuda())
    cycle: list[object] = [torch.empty(BLOCK, dtype=torch.uint8, device=cuda())]
    cycle.append(cycle)
    del cycle
    assert torch.cuda.memory_reserved(cuda()) >= before + BLOCK
    runtime.release_memory()
    assert torch.cuda.memory_reserved(cuda()) < before + BLOCK


def test_a_trial_without_room_on_the_gpu_names_the_keys_to_lower() -> None:
    _, size = torch.cuda.mem_get_info(cuda())
    with pytest.raises(TrialCrashedError, match=r"training\.accumulate"), crash_reported():
        torch.empty(2 * size, dtype=torch.uint8, device=cuda())


def test_a_calibration_measures_the_gpu_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "UPDATES_S", 0.01)
    random_numbers = torch.cuda.get_rng_state(cuda())
    calibration = calibrate(make_spec(dropout=0.5, **EVERYTHING), SIZES, cuda())
    assert calibration.is_on_gpu
    assert calibration.step_s > 0
    _, size = torch.cuda.mem_get_info(cuda())
    assert calibration.available_bytes == size
    assert module._CUDA_CONTEXT_BYTES < calibration.memory_bytes < size
    assert torch.equal(torch.cuda.get_rng_state(cuda()), random_numbers)


def test_the_machine_is_described_with_its_gpus(tmp_path: Path) -> None:
    messages = [finding.message for finding in check_machine(tmp_path)]
    assert any(torch.cuda.get_device_name(cuda()) in message for message in messages)
    assert local_resources()["GPU"] == torch.cuda.device_count()
    assert probe_node(None, check_torch=True).torch_supports_cuda is True
    assert task_device(make_spec(), threads=1).type == "cuda"
