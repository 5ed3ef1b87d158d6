"""The benchmark of GPUs, on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partialmethod
from io import StringIO

import gpu
import pytest
import torch
from rich.console import Console
from support.real_ray import ROOT
from support.tiny_trial import CPU, make_spec
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity


class Cpu:
    """A stand-in for a GPU, which has used a gigabyte."""

    torch_device = CPU
    activity = ProfilerActivity.CPU
    type = DeviceType.CPU

    def __init__(self) -> None:
        self.calls: list[str] = []

    def reset(self) -> None:
        self.calls.append("reset")

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def peak_bytes(self) -> int:
        return 10**9


@pytest.fixture(autouse=True)
def little_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "SIZES", gpu.DataSizes(3, 14, 6, 14, 6))


def test_an_update_is_timed_and_profiled() -> None:
    device = Cpu()
    result = gpu.measure(make_spec(), gpu.Mode("eager"), device, updates=2, rounds=1)
    assert result.update_s > 0
    assert result.pairs_per_s == pytest.approx(4 / result.update_s)
    assert 0.2 < result.busy <= 1
    assert result.memory_bytes == 10**9
    # Before and after the round and the profiled updates.
    assert device.calls == ["reset", *["synchronize"] * 4]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # dynamo's own
def test_the_table_compares_each_mode_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    table = gpu.make_table({"tiny": make_spec()}, gpu.MODES, Cpu(), updates=1, rounds=1)
    text = StringIO()
    Console(file=text, width=120).print(table)
    rows = [line for line in text.getvalue().splitlines() if "tiny, 4 pairs, fp32" in line]
    assert [mode.name in row for mode, row in zip(gpu.MODES, rows, strict=True)] == [True] * 4
    assert " 1.00 " in rows[0]
    assert all(" ms " in row and "1.0 GB" in row for row in rows)


def test_a_search_that_needs_too_much_memory_is_a_row_of_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(gpu, "measure", fail)
    table = gpu.make_table({"tiny": make_spec()}, gpu.MODES[:1], Cpu(), updates=1, rounds=1)
    text = StringIO()
    Console(file=text, width=120).print(table)
    assert "out of memory" in text.getvalue()


def test_a_mode_changes_the_training_of_its_trials() -> None:
    modes = {mode.name: mode for mode in gpu.MODES}
    compiled = gpu.Updates(make_spec(), modes["compiled"], CPU, updates=3)
    assert all(member.state.spec.training.compile for member in compiled._members)
    recorded = gpu.Updates(make_spec(), modes["CUDA graph"], CPU, updates=3)
    assert all(member.state.spec.training.cuda_graph == "on" for member in recorded._members)
    group = gpu.Updates(make_spec(), modes["3 trials per GAN"], CPU, updates=3)
    assert len(group._members) == 3
    group.train()
    assert [member.state.step for member in group._members] == [3, 3, 3]


def test_intervals_that_overlap_count_once() -> None:
    assert gpu.covered([]) == 0
    assert gpu.covered([(5, 6), (0, 2), (1, 3), (1, 2)]) == 4


def test_three_searches_are_measured_with_the_terms_that_they_search() -> None:
    searches = gpu.searches()
    default, digits, photographs = searches.values()
    assert default.loss_weights.information == default.loss_weights.cycle == 0.5
    assert (default.loss_weights.identity, digits.loss_weights.identity) == (0, 0.5)
    generator = photographs.model.generator
    assert (generator.name, generator.blocks, photographs.data.source.size) == ("resnet", 9, 256)


def test_without_a_gpu_it_says_what_to_do() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert process.returncode == 2
    assert "there is no CUDA device" in process.stderr
    assert "Traceback" not in process.stderr
