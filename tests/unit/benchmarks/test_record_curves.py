from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import record_curves
from curve_design import Design
from curve_table import ACCURACY, read_curves
from support.tiny_trial import CPU, make_data

from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError
from adaptune.spec import load_spec
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import GroupTrial
from adaptune.training.loop import fit_group

SETTINGS = [
    "data.source.size=16",
    "data.target.size=16",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "training.epochs=3",
    "training.steps_per_epoch=2",
    "training.batch_size=4",
    "training.source.steps=2",
]


class Splits:
    """Splits of noise, without the part that is withheld from trials."""

    def __init__(self, data: TrialData) -> None:
        self.trial = data


@pytest.fixture(autouse=True)
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_curves, "load_splits", lambda spec, seed: Splits(make_data()))


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> None:
    command = ["record_curves.py", "--space", "mnist_optdigits.yaml", "--group-size", "2"]
    arguments = [*command, "--out", str(folder), "--set", *SETTINGS, *options]
    monkeypatch.setattr(sys, "argv", arguments)
    record_curves.main()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.parquet"))


def test_finished_groups_are_skipped_and_parts_share_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu_s = 0.0
    train = EpochTrainer.train

    def train_a_second_per_trial(self: EpochTrainer, epoch: int, trials: Any) -> bool:
        nonlocal cpu_s
        cpu_s += len(trials)
        return train(self, epoch, trials)

    monkeypatch.setattr(EpochTrainer, "train", train_a_second_per_trial)
    monkeypatch.setattr(record_curves.time, "process_time", lambda: cpu_s)
    run(monkeypatch, tmp_path, "--groups", "1", "--seeds", "0", "1")
    assert names(tmp_path) == ["seed0-group000.parquet", "seed1-group000.parquet"]
    run(monkeypatch, tmp_path, "--groups", "4", "--part", "0", "--parts", "2")
    assert names(tmp_path)[:2] == ["seed0-group000.parquet", "seed0-group002.parquet"]
    printed = capsys.readouterr().out
    assert printed.count("seed 0, group 0:") == 1
    assert "group 1:" not in printed

    merged = tmp_path / "merged" / "curves.parquet"
    merged.parent.mkdir()
    run(monkeypatch, tmp_path, "--merge", str(merged))
    curves = read_curves(merged)
    assert curves.accuracies.shape == (6, 3)
    assert list(zip(curves.seeds, curves.groups, strict=True)) == [
        *[(0, 0)] * 2,
        *[(0, 2)] * 2,
        *[(1, 0)] * 2,
    ]
    [first] = pq.read_table(merged).slice(0, 1).to_pylist()
    assert (first["group_s"], first["alone_s"]) == (2, 1)
    assert first["eval_s"] > 0


def test_a_folder_holds_curves_of_one_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, tmp_path, "--groups", "1")
    with pytest.raises(SystemExit, match="has other settings: give another folder"):
        run(monkeypatch, tmp_path, "training.epochs=4", "--groups", "2")


def test_a_recorded_curve_is_that_of_the_same_trial_in_a_search(tmp_path: Path) -> None:
    overrides = [*SETTINGS, "search.classifiers_per_gan=2", "search.start_points=[]"]
    spec = load_spec("mnist_optdigits.yaml", overrides)
    setup = record_curves.set_up(spec, 3, tmp_path / "f_s.safetensors")
    values = Design(spec.space, 2).group(0)
    rows = record_curves.record_group(spec, setup, values)
    trials = {number: GroupTrial(spec.trial(trial, 3)) for number, trial in enumerate(values)}
    epochs = fit_group(trials, setup.data, setup.source_weights, device=CPU)
    accuracies = []
    for outcomes in epochs:
        for outcome in outcomes.values():
            assert not isinstance(outcome, NonFiniteLossError)
            accuracies.append(outcome.target_val_accuracy)
    assert [row[ACCURACY] for row in rows] == accuracies


def test_a_trial_that_fails_ends_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec("mnist_optdigits.yaml", [*SETTINGS, "search.start_points=[]"])
    setup = record_curves.set_up(spec, 0, tmp_path / "f_s.safetensors")
    values = Design(spec.space, 2).group(0)
    evaluate = record_curves.evaluate_group

    def fail(group, epoch, *rest):  # type: ignore[no-untyped-def]
        outcomes = evaluate(group, epoch, *rest)
        if epoch == 2:
            outcomes[1] = NonFiniteLossError("task", 1)
        return outcomes

    monkeypatch.setattr(record_curves, "evaluate_group", fail)
    rows = record_curves.record_group(spec, setup, values)
    trials = [(row["trial"], row["epoch"], row[ACCURACY] is None) for row in rows]
    assert trials == [(0, 1, False), (1, 1, False), (0, 2, False), (1, 2, True), (0, 3, False)]
