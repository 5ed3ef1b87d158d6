"""Updates that are recorded as CUDA graphs: the same numbers as without."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from support.on_gpu import assert_close, cuda, epoch_losses, group_losses, no_waits

from adaptune.training import epoch_trainer
from adaptune.training.recorded_updates import _RecordedUpdate
from adaptune.training.steps.cycada import cycada_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

# Enough updates that most are replays.
RECORDED: dict[str, Any] = {"epochs": 2, "steps_per_epoch": 12, "dropout": 0.3}
GRAPH_OPTIONS: dict[str, dict[str, Any]] = {
    "cycada": {},
    "cyclegan": {"method": "cyclegan", "generator": "resnet"},
    "bf16": {"precision": "bf16", "generator": "resnet", "channels_last": True},
    "gradient penalty": {"gradient_penalty_every": 3, "loss_weights": {"gradient_penalty": 1.0}},
    "late classifier": {"classifier_from": 0.3, "classifier_optimizer": "sgd"},
    "compiled": {"compile": True},
    "fourier": {"fourier_beta": 0.1, "d_augment": {"shift": 0.1, "cutout": 0.3}},
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # of the compiler
@pytest.mark.parametrize("case", GRAPH_OPTIONS)
def test_replayed_updates_have_the_losses_of_eager_ones(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = RECORDED | GRAPH_OPTIONS[case]
    expected = list(epoch_losses(cuda(), tmp_path / "eager", cuda_graph="off", **options))
    losses = list(epoch_losses(cuda(), tmp_path / "graph", cuda_graph="on", **options))
    assert_close(losses, expected)
    assert "CUDA graph" not in caplog.text


def test_trials_that_train_together_are_replayed_together(tmp_path: Path) -> None:
    shared = RECORDED | {"semantic_gate": None}
    members: list[dict[str, Any]] = [{}, {"classifier_lr": 0.003}, {"task_images": "both"}]
    eager = [shared | member for member in members]
    recorded = [trial | {"cuda_graph": "on"} for trial in eager]
    expected = list(group_losses(cuda(), tmp_path / "eager", eager))
    for losses, epoch in zip(
        group_losses(cuda(), tmp_path / "graph", recorded), expected, strict=True
    ):
        assert_close(losses, epoch)


def test_a_replay_never_makes_the_cpu_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = _RecordedUpdate.replay
    replays = []

    def strict_replay(update: _RecordedUpdate, inputs: Any) -> Any:
        replays.append(update)
        with no_waits():
            return replay(update, inputs)

    monkeypatch.setattr(_RecordedUpdate, "replay", strict_replay)
    list(epoch_losses(cuda(), tmp_path, cuda_graph="on", **RECORDED))
    assert len(replays) >= RECORDED["steps_per_epoch"]


def test_an_update_that_cannot_be_recorded_is_eager(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(epoch_losses(cuda(), tmp_path / "eager", **RECORDED))

    def step(group: Any, batch: Any) -> Any:
        all_terms = cycada_step(group, batch)
        float(all_terms[0]["cycle"])  # the CPU waits, which no graph can
        return all_terms

    monkeypatch.setitem(epoch_trainer.STEPS, "cycada", step)
    losses = list(epoch_losses(cuda(), tmp_path / "graph", cuda_graph="on", **RECORDED))
    assert_close(losses, expected)
    assert caplog.text.count("without a CUDA graph") == 1


def test_the_memory_of_graphs_is_free_after_their_trial(tmp_path: Path) -> None:
    def reserved_after(number: int) -> int:
        list(epoch_losses(cuda(), tmp_path / str(number), cuda_graph="on", **RECORDED))
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    first = reserved_after(0)
    assert [reserved_after(number) for number in (1, 2, 3)] == [first] * 3
