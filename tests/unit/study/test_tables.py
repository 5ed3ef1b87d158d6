from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from support.fake_search import history, make_record, make_search, simulate, smooth

from adaptune.results.folder import ResultsFolder
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement
from adaptune.training.metrics import ClassScores
from adaptune.training.record import HealthReport

WORKERS = 2
PLACEMENT = TrialPlacement("ray_train", WORKERS)


def read(study: SearchStudy, out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of both tables."""
    folder = ResultsFolder(out)
    write_tables(study, folder, PLACEMENT)
    trials = pq.read_table(folder.trials_table).to_pylist()
    epochs = pq.read_table(folder.epochs_table).to_pylist()
    return trials, epochs


def test_the_tables_have_one_row_per_trial_and_one_row_per_epoch(tmp_path: Path) -> None:
    study = simulate(make_search(search={"trials": 5}), None, smooth)
    study.tell_result(study.ask(), epochs=9, error="step 3: nan", wall_s=1.0)
    trials, epochs = read(study, tmp_path)
    assert [row["number"] for row in trials] == list(range(6))
    for row, (_, state, values, curve, _) in zip(trials, history(study), strict=True):
        assert (row["state"], row["epochs"]) == (state.name, max(curve, default=0))
        assert json.loads(row["params"]) == values
        assert row["target_val_accuracy"] == max(curve.values(), default=None)
        assert row["device_s"] == 2.5 * len(curve) * WORKERS
    assert trials[5]["error"] == "step 3: nan"
    assert len(epochs) == sum(row["epochs"] for row in trials)


def test_the_row_of_a_trial_describes_its_best_epoch_and_its_times(tmp_path: Path) -> None:
    study = create_study(make_search(search={"metric": "infomax"}))
    trial = study.ask()
    health = HealthReport(1.0, 1.0, 0.0, 1.0, "", unhealthy="collapse: 0.1")
    for epoch, score in ((1, 0.25), (2, 0.75), (3, 0.5)):
        target_val = ClassScores(mean_recall=score / 4, macro_f1=0.1, auroc=None, recall={})
        record = make_record(
            epoch,
            score / 2,
            validators={"infomax": score},
            health=health,
            target_val=target_val,
        )
        study.add_epoch(trial, record, score)
    study.tell_result(trial, epochs=9, error=None, wall_s=10.0)
    [row], _ = read(study, tmp_path)
    assert row == {
        "number": 0,
        "group": 0,
        "state": "PRUNED",
        "execution": "ray_train",
        "workers": 2,
        "params": json.dumps(trial.params, sort_keys=True),
        **trial.params,
        "epochs": 3,
        "best_epoch": 2,
        "objective": 0.75,
        "target_val_accuracy": 0.375,
        "target_val_loss": 1.0,
        "target_val_mean_recall": 0.1875,
        "target_val_macro_f1": 0.1,
        "target_val_auroc": None,
        "wall_s": 10.0,
        "device_s": 15.0,
        "overhead_s": 2.5,
        "unhealthy": "collapse: 0.1",
        "error": None,
        "checkpoint": str(tmp_path / "trials" / "0" / "checkpoints"),
    }


def test_the_row_of_a_trial_has_its_group_and_the_folder_of_its_group(tmp_path: Path) -> None:
    study = create_study(make_search())
    study.ask()
    study.ask_group(2)
    study.add_epoch(study.ask(), make_record(1, 0.5), 0.5)
    trials, _ = read(study, tmp_path)
    assert [(row["number"], row["group"]) for row in trials] == [(0, 0), (1, 1), (2, 1), (3, 3)]
    assert [Path(row["checkpoint"]).parent.name for row in trials] == ["0", "1", "1", "3"]


def test_the_row_of_an_epoch_has_its_trial_its_figures_and_its_objective(tmp_path: Path) -> None:
    study = create_study(make_search())
    record = make_record(1, 0.5, losses={"cycle": 2.0})
    study.add_epoch(study.ask(), record, 0.25)
    _, [row] = read(study, tmp_path)
    assert row == {"trial": 0, **record.flat(), "objective": 0.25}
    assert row["loss/cycle"] == 2.0


def test_figures_that_only_some_epochs_have_are_empty_in_others(tmp_path: Path) -> None:
    study = create_study(make_search())
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.add_epoch(trial, make_record(2, 0.5, losses={"feature": 2.0}), 0.5)
    _, epochs = read(study, tmp_path)
    assert [row["loss/feature"] for row in epochs] == [None, 2.0]


def test_a_study_without_trials_writes_no_table(tmp_path: Path) -> None:
    study = create_study(make_search(search={"start_points": [{"loss_weights.cycle": 10.0}]}))
    write_tables(study, ResultsFolder(tmp_path), PLACEMENT)
    assert not any(tmp_path.iterdir())


def test_a_trial_keeps_the_runner_and_the_workers_that_it_ended_with(tmp_path: Path) -> None:
    study = create_study(make_search())
    earlier = TrialPlacement("in_process", 1)
    for placement in (earlier, None):  # None: of a version that did not store them
        trial = study.ask()
        study.add_epoch(trial, make_record(1, 0.5), 0.5)
        study.tell_result(trial, epochs=9, error=None, wall_s=3.0, placement=placement)
    study.add_epoch(study.ask(), make_record(1, 0.5), 0.5)
    trials, _ = read(study, tmp_path)
    columns = [(row["execution"], row["workers"], row["device_s"]) for row in trials]
    assert columns == [("in_process", 1, 2.5), ("ray_train", 2, 5.0), ("ray_train", 2, 5.0)]
