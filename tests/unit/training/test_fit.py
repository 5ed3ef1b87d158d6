from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError
from adaptune.training import loop
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import Record, fit
from adaptune.training.steps import generators as phases

Fit = Callable[..., list[Record]]
# All that has a memory: pool, averages, dropout, augmentation, both gates, the decaying rates.
EVERYTHING: dict[str, Any] = {"dropout": 0.5} | WITH_MEMORY


def numbers(records: list[Record]) -> list[Record]:
    return [{key: value for key, value in r.items() if not key.endswith("_s")} for r in records]


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_interrupted_and_resumed_is_bit_exact(method: str, tmp_path: Path, run_fit: Fit) -> None:
    spec = make_spec(method=method, **EVERYTHING)
    whole, halves = (CheckpointFolder(str(tmp_path / name)) for name in ("whole", "halves"))
    expected = run_fit(spec, whole)
    first = run_fit(spec, halves, stop_after=2)
    torch.manual_seed(999)  # a new process would have other random numbers
    second = run_fit(spec, halves)

    assert [r["epoch"] for r in second] == [2, 3, 4]
    assert second[0] == first[-1]
    assert numbers(first + second[1:]) == numbers(expected)
    ends = [folder.load(4) for folder in (whole, halves)]
    for part in ("state", "pools"):
        torch.testing.assert_close(ends[0][part], ends[1][part], rtol=0, atol=0)
    assert ends[0]["pools"][0]["source"].shape == (6, 1, 16, 16)


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
@pytest.mark.parametrize("steps", [1, 20, 23])
def test_a_notice_in_mid_epoch_costs_no_update_and_changes_no_number(
    method: str, steps: int, tmp_path: Path, run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "NOTICE_EVERY_STEPS", 1)
    spec = make_spec(method=method, epochs=3, steps_per_epoch=10, **EVERYTHING)
    folder = CheckpointFolder(str(tmp_path / "trial"))
    expected = run_fit(spec, CheckpointFolder(str(tmp_path / "undisturbed")))
    asked = itertools.count()
    before = run_fit(spec, folder, notice=lambda: next(asked) == steps)
    assert (tmp_path / "trial" / "mid-epoch.pt").exists()
    after = run_fit(spec, folder)
    assert [record["epoch"] for record in before] == list(range(1, steps // 10 + 1))
    said = {record["epoch"]: record for record in numbers([*before, *after])}
    for record in numbers(expected):
        assert said[record["epoch"]] == pytest.approx(record, rel=1e-6)
    assert not (tmp_path / "trial" / "mid-epoch.pt").exists()


def test_a_damaged_mid_epoch_checkpoint_costs_that_epoch_only(
    tmp_path: Path, run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "NOTICE_EVERY_STEPS", 1)
    spec = make_spec(epochs=2, steps_per_epoch=3)
    folder = CheckpointFolder(str(tmp_path))
    asked = itertools.count()
    run_fit(spec, folder, notice=lambda: next(asked) == 4)
    (tmp_path / "mid-epoch.pt").write_bytes(b"torn")
    assert [record["epoch"] for record in run_fit(spec, folder)] == [1, 2]


def test_same_seed_same_numbers_and_another_seed_others(run_fit: Fit) -> None:
    spec = make_spec(**EVERYTHING, epochs=1)
    first = numbers(run_fit(spec))
    torch.manual_seed(123)
    assert numbers(run_fit(spec)) == first
    assert numbers(run_fit(spec.model_copy(update={"seed": 1}))) != first


def test_finished_trial_yields_its_last_record_and_trains_no_more(
    tmp_path: Path, run_fit: Fit
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    last = run_fit(spec := make_spec(epochs=2), folder)[-1]
    assert run_fit(spec, folder) == [last]


def test_records_hold_what_the_search_listens_to(run_fit: Fit) -> None:
    records = run_fit(make_spec(epochs=2))
    assert [r["epoch"] for r in records] == [1, 2]
    for record in records:
        assert 0 <= record["target_val_accuracy"] <= 1
        assert 0 <= record["source_val_accuracy"] <= 1
        assert record["target_val_loss"] > 0
        assert {"loss/task", "loss/cycle", "loss/information", "train_s", "eval_s"} <= set(record)


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
def test_bf16_runs_on_the_cpu_with_finite_losses(generator: str, run_fit: Fit) -> None:
    spec = make_spec(
        generator=generator,
        precision="bf16",
        epochs=1,
        pool_size=4,
        augment={"shift": 0.1},
        feature_gate=0.0,
    )
    (record,) = run_fit(spec)
    assert all(math.isfinite(value) for value in record.values())


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning"
)  # torch's own, from within dynamo
def test_compiled_networks_train_to_the_same_losses(tmp_path: Path, run_fit: Fit) -> None:
    spec = make_spec(epochs=1, steps_per_epoch=3)
    compiled = make_spec(epochs=1, steps_per_epoch=3, compile=True)
    folder = CheckpointFolder(str(tmp_path))
    [record], [expected] = numbers(run_fit(compiled, folder)), numbers(run_fit(spec))
    assert record == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert numbers(run_fit(spec, folder)) == [record]  # its checkpoint is that of any network


def test_a_term_that_is_not_finite_is_named_with_its_step(
    run_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def poisoned(images: torch.Tensor, again: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return (images - again).mean() * (math.nan if len(calls) == 3 else 1.0)

    monkeypatch.setattr(
        phases, "cycle_loss", poisoned
    )  # twice an update: the third call is step 2's
    with pytest.raises(
        NonFiniteLossError, match=r"`cycle` is not finite at step 2 .*cycle 10, identity 5"
    ):
        run_fit(make_spec())


def test_poisoned_source_weights_fail_at_step_1_and_save_nothing(tmp_path: Path) -> None:
    spec = make_spec(method="cyclegan")
    weights = {
        name: torch.full_like(value, math.nan) for name, value in make_source_weights(spec).items()
    }
    folder = CheckpointFolder(str(tmp_path))
    with pytest.raises(NonFiniteLossError, match="`task` is not finite at step 1 "):
        next(fit(spec, make_data(), weights, device=CPU, checkpoints=folder))
    assert folder.epochs() == []
