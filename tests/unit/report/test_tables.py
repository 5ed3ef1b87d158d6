from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fake_run import make_summary
from support.fake_search import make_record, make_search

from adaptune.errors import ResultsError
from adaptune.report.tables import (
    Table,
    baselines_table,
    costs_table,
    format_mean,
    pareto_table,
    replication_table,
    trials_table,
    updates_text,
    validators_table,
)
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.study.study import SearchStudy, create_study


def make_study(**search: Any) -> SearchStudy:
    return create_study(make_search(search=search, training={"epochs": 2}))


def add_trial(study: SearchStudy, *accuracies: float, error: str | None = None) -> None:
    study.optuna_study.enqueue_trial({"loss_weights.cycle": 1.5, "loss_weights.identity": 2.0})
    trial = study.ask()
    for epoch, accuracy in enumerate(accuracies, start=1):
        study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
    if error != "running":
        study.tell_result(trial, epochs=2, error=error, wall_s=1.0)


def test_a_table_without_rows_is_false() -> None:
    assert not Table(("trial",), [])
    assert Table(("trial",), [("0",)])


def test_there_is_one_row_per_trial() -> None:
    study = make_study()
    add_trial(study, 0.75, 0.5)
    add_trial(study, 0.25)
    add_trial(study, error="step 3: the cycle term is nan")
    add_trial(study, 0.5, error="running")
    table = trials_table(study, 2)
    assert table.header == ("trial", "state", "epoch", "best epoch", "target_val", "values")
    values = "cycle=1.5 identity=2"
    assert table.rows == [
        ("0", "complete", "2/2", "1", "75.0%", values),
        ("1", "stopped early", "1/2", "1", "25.0%", values),
        ("2", "failed", "0/2", "", "", "step 3: the cycle term is nan"),
        ("3", "running or interrupted", "1/2", "1", "50.0%", values),
    ]


def test_scores_of_validators_are_no_percentages() -> None:
    study = make_study(metric="infomax")
    add_trial(study, 0.75)
    table = trials_table(study, 2)
    assert table.header[4] == "infomax"
    assert table.rows[0][4] == "0.7500"


def test_costs_that_are_not_known_have_no_row() -> None:
    table = costs_table(make_summary(device_s_useful=12.4))
    assert table.rows[0] == ("trials that trained all epochs", "12")
    assert len(table.rows) == 5
    reached = costs_table(make_summary(device_s_to_99_percent_of_best=7.0))
    assert ("until 99% of the best objective was reached", "7") in reached.rows


def test_each_baseline_has_its_choice_and_its_accuracy() -> None:
    chosen: dict[str, Any] = {
        "name": "no GAN",
        "setting": "task 1, feature 0.3",
        "epoch": 7,
        "updates": 2400,
        "test_accuracy": 0.9,
        "test_ci95": (0.8, 0.95),
    }
    summary = make_summary(
        baselines=[chosen, chosen | {"name": "FDA", "setting": "f_S itself", "epoch": 0}],
        best_baseline="no GAN",
        search_updates=12345,
        baseline_updates=4800,
    )
    assert baselines_table(summary).rows == [
        ("no GAN (best)", "task 1, feature 0.3", "7", "2,400", "90.0 (80.0 to 95.0)"),
        ("FDA", "f_S itself", "0", "2,400", "90.0 (80.0 to 95.0)"),
    ]
    expected = "updates: 12,345 by the trials of the search, 4,800 by the baselines"
    assert updates_text(summary) == expected


def test_a_summary_without_choices_has_no_table_of_baselines() -> None:
    assert not baselines_table(make_summary())
    assert updates_text(make_summary(search_updates=12345)) is None


def test_each_validator_has_a_row() -> None:
    study = make_study()
    assert not validators_table(study)
    add_trial(study, 0.5, 0.75)
    rows = {row[0]: row[1:] for row in validators_table(study).rows}
    assert rows["infomax"] == ("1.00", "trial 0, epoch 2", "0.0")


def test_a_correlation_needs_more_than_one_epoch() -> None:
    study = make_study()
    add_trial(study, 0.5)
    assert {row[1] for row in validators_table(study).rows} == {"–"}


def test_the_pareto_front_begins_with_the_fastest_trial() -> None:
    study = make_study(sampler="nsga2")
    for accuracy, seconds in ((0.9, 30.0), (0.5, 40.0), (0.6, 5.0)):
        study.optuna_study.enqueue_trial({"loss_weights.cycle": 1.5, "loss_weights.identity": 2.0})
        trial = study.ask()
        record = make_record(2, accuracy, train_s=seconds, eval_s=0.0)
        study.add_epoch(trial, record, accuracy)
        study.tell_result(trial, epochs=2, error=None, wall_s=1)
    assert pareto_table(study).rows == [
        ("trial 2", "target_val 60.0%", "5", "cycle=1.5 identity=2"),
        ("trial 0", "target_val 90.0%", "30", "cycle=1.5 identity=2"),
    ]


def test_a_search_with_one_objective_has_no_pareto_front() -> None:
    study = make_study()
    add_trial(study, 0.5, 0.6)
    assert not pareto_table(study)


@pytest.mark.parametrize(
    ("mean", "standard_error", "text"),
    [(0.972, 0.003, "97.2 ± 0.3"), (0.972, None, "97.2"), (None, None, "failed")],
)
def test_accuracies_have_their_standard_errors(
    mean: float | None, standard_error: float | None, text: str
) -> None:
    assert format_mean(mean, standard_error) == text


def test_a_command_that_has_not_run_has_an_empty_table(tmp_path: Path) -> None:
    replication = replication_table(ResultsFolder(tmp_path), "confirm")
    assert not replication.table
    assert replication.conclusion == []


def test_a_command_leaves_means_and_a_conclusion(tmp_path: Path) -> None:
    (tmp_path / "confirm").mkdir()
    rows = {
        "configuration": ["source only", "trial 3"],
        "seeds": [3, 0],
        "mean": [0.8, None],
        "standard_error": [0.01, None],
    }
    conclusion = {"conclusion": "trial 3: helps.\nIt is worth it."}
    path = tmp_path / "confirm" / "confirm.parquet"
    write_table(path, pa.table(rows).replace_schema_metadata(conclusion))
    replication = replication_table(ResultsFolder(tmp_path), "confirm")
    assert replication.table.header == ("configuration", "seeds", "test accuracy")
    assert replication.table.rows == [
        ("source only", "3", "80.0 ± 1.0"),
        ("trial 3", "0", "failed"),
    ]
    assert replication.conclusion == ["trial 3: helps.", "It is worth it."]


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "confirm").mkdir()
    (tmp_path / "confirm" / "confirm.parquet").write_bytes(b"no table")
    with pytest.raises(ResultsError, match=r"confirm.parquet cannot be read: .*; run the command"):
        replication_table(ResultsFolder(tmp_path), "confirm")
