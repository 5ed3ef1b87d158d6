"""The results folder, the tables, summary.json and the verdict."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState
from rich.console import Console
from support.fake_search import history, make_search, simulate, smooth

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import CheckpointError, ResultsError
from adaptune.evaluation.summary import summarise, write_summary
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.evaluation.verdict import verdict
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import claim, discard, exclusive, open_existing
from adaptune.search.callbacks.tables import device_seconds, write_tables
from adaptune.search.driver import best_checkpoint
from adaptune.spec.schema import SearchSpec
from adaptune.study import study as studies
from adaptune.study.storage import open_study
from adaptune.training.checkpoint import CheckpointFolder

PLAN = PlacementPlan("ray_train", 2, 1, 0.0, 1, 2)
KEYS = """name, method, source, target, execution, trials_total, trials_complete, trials_pruned, trials_failed,
best_trial, best_params, best_epoch, target_val_accuracy, target_test_accuracy, target_test_ci95, target_test_size,
source_only_test_accuracy, information_only_test_accuracy, no_gan_test_accuracy,
target_supervised_test_accuracy, gap_closed, verdict,
wall_s, device_s_useful, device_s_pruned, device_s_failed, source_stage_s, seed, version,
workers_per_trial, metric, target_test_looks, trials_sick,
device_s_overhead, device_s_saved_by_stopping_estimated, device_s_to_99_percent_of_best"""


def spec_in(out: Path, **sections: object) -> SearchSpec:
    return make_search(storage={"out": str(out)}, **sections)


def test_a_search_claims_a_folder_resumes_it_and_extends_it(tmp_path: Path) -> None:
    folder = claim(spec_in(tmp_path), resume=False)
    assert open_existing(folder.path) == (folder, spec_in(tmp_path))
    more = spec_in(tmp_path, search={"trials": 50})
    assert claim(more, resume=True) == folder
    assert open_existing(folder.path)[1].search.trials == 50
    discard(folder)
    assert not folder.path.exists()


def test_what_a_search_must_not_claim(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="nothing to resume"):
        claim(spec_in(tmp_path), resume=True)
    assert not any(tmp_path.iterdir())
    claim(spec_in(tmp_path), resume=False)
    with pytest.raises(ResultsError, match="add --resume"):
        claim(spec_in(tmp_path), resume=False)
    for resume in (False, True):
        with pytest.raises(ResultsError, match="another spec"):
            claim(spec_in(tmp_path, seed=1), resume=resume)


def test_two_drivers_cannot_share_a_folder(tmp_path: Path) -> None:
    folder = claim(spec_in(tmp_path), resume=False)
    with (
        exclusive(folder),
        pytest.raises(ResultsError, match=rf"process {os.getpid()} on "),
        exclusive(folder),
    ):
        pass
    with exclusive(folder):  # the first has gone
        pass


def test_a_lock_of_another_machine_can_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claim(spec_in(tmp_path), resume=False)
    with exclusive(folder):
        machine = socket.gethostname()
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        advice = f"if {machine} is gone, delete {folder.path / '.driver'}"
        with pytest.raises(ResultsError, match=re.escape(advice)), exclusive(folder):
            pass
        (folder.path / ".driver").unlink()
        with exclusive(folder):
            pass


def test_a_driver_at_work_is_named_and_a_killed_one_is_forgotten(tmp_path: Path) -> None:
    folder = claim(spec_in(tmp_path), resume=False)
    before = folder.spec.read_text()
    script = (
        "import sys, time; from pathlib import Path; from adaptune.results.lifecycle import exclusive\n"
        "from adaptune.results.folder import ResultsFolder\n"
        "with exclusive(ResultsFolder(Path(sys.argv[1]))): print('held', flush=True), time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, folder.path], stdout=subprocess.PIPE
    ) as driver:
        try:
            assert driver.stdout is not None
            assert driver.stdout.readline() == b"held\n"
            for resume in (False, True):
                with pytest.raises(
                    ResultsError, match=f"is being searched by process {driver.pid} on "
                ):
                    claim(spec_in(tmp_path, search={"trials": 50}), resume=resume)
            assert folder.spec.read_text() == before
        finally:
            driver.kill()
    assert claim(spec_in(tmp_path), resume=True) == folder


def test_a_file_system_without_locks_is_searched_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    folder = claim(spec_in(tmp_path), resume=False)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive(folder):
        pass


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "thesis.txt").touch()
    with pytest.raises(ResultsError, match="holds other files"):
        claim(spec_in(tmp_path), resume=False)
    with pytest.raises(ResultsError, match="cannot write to"):
        claim(spec_in(tmp_path / "fake" / "thesis.txt"), resume=False)
    with pytest.raises(ResultsError, match="holds no search"):
        open_existing(tmp_path / "fake")


def test_the_tables_have_a_row_a_trial_and_a_row_an_epoch(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    study = simulate(make_search(search={"trials": 5}), str(folder.journal), smooth)
    trial = studies.ask(study, make_search())
    studies.finish(study, trial, epochs=9, error="step 3: nan", wall_s=1.0)
    write_tables(study, PLAN, folder)
    trials, epochs = (
        pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("trials", "epochs")
    )
    assert [row["number"] for row in trials] == list(range(6))
    for row, (_, state, params, curve, _) in zip(trials, history(study), strict=True):
        assert (row["state"], row["epochs"]) == (state.name, max(curve, default=0))
        assert json.loads(row["params"]) == params
        assert row["target_val_accuracy"] == max(curve.values(), default=None)
        assert row["device_s"] == 2.5 * len(curve) * PLAN.workers
    assert trials[5]["error"] == "step 3: nan"
    assert len(epochs) == sum(row["epochs"] for row in trials)
    assert device_seconds(study, 2, TrialState.COMPLETE) == sum(
        row["device_s"] for row in trials if row["state"] == "COMPLETE"
    )
    assert (
        device_seconds(study, 2, TrialState.FAIL) == 2 * trials[5]["wall_s"]
    )  # it has no epoch to count


def test_a_study_without_trials_writes_no_table(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    write_tables(open_study(make_search(), str(folder.journal)), PLAN, folder)
    assert [file.name for file in tmp_path.glob("*.parquet")] == []


def scores(adapted: float, source_only: float, p: float = 0.001, **rivals: float) -> Scores:
    names = ("source_only", "information_only", "no_gan")
    return Scores(
        size=400, adapted=adapted, source_only=source_only, p=dict.fromkeys(names, p), **rivals
    )


def test_the_summary_has_the_keys_of_the_design(tmp_path: Path) -> None:
    spec, folder = make_search(search={"trials": 3}), ResultsFolder(tmp_path)
    study = simulate(spec, str(folder.journal), smooth)
    best = studies.best_trial(study)
    assert best is not None
    found = scores(0.9, 0.7, information_only=0.8, supervised=0.95)
    summary = summarise(
        spec,
        study,
        PLAN,
        best=best,
        record=studies.best_record(best, studies.metric_of(study)),
        scores=found,
        wall_s=9,
        source_stage_s=1,
    )
    assert set(summary) == set(re.split(r",\s+", KEYS))
    assert summary["gap_closed"] == pytest.approx(0.8)
    assert summary["best_params"] == best.params
    assert summary["trials_complete"] + summary["trials_pruned"] == summary["trials_total"] == 3
    write_summary(summary, folder)
    assert json.loads(folder.summary.read_text()) == summary

    empty = summarise(
        spec, study, PLAN, best=None, record=None, scores=None, wall_s=9, source_stage_s=1
    )
    assert set(empty) == set(summary)
    assert empty["target_test_accuracy"] is empty["best_trial"] is empty["gap_closed"] is None
    assert empty["verdict"].startswith("No checkpoint can be read: there is nothing to export.")
    unbegun = open_study(spec, str(tmp_path / "unbegun"))
    nothing = summarise(
        spec, unbegun, PLAN, best=None, record=None, scores=None, wall_s=9, source_stage_s=1
    )
    assert nothing["verdict"] == "No trial came to an end: there is nothing to export."


def test_a_gap_is_closed_only_where_there_is_one() -> None:
    assert scores(0.9, 0.8).gap_closed is None
    assert scores(0.9, 0.8, supervised=0.8).gap_closed is None
    assert scores(0.7, 0.8, supervised=0.9).gap_closed == pytest.approx(-1)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (scores(0.9, 0.8), ": adaptation helped, source-only has 80.0%."),
        (scores(0.9, 0.87, p=0.06), "the gain of 3.0 points is within chance for 400 samples."),
        (scores(0.9, 0.9), ": adaptation did not help, source-only has 90.0%."),
        (scores(0.9, 0.95), ": adaptation did not help, source-only has 95.0%."),
        (scores(0.9, 0.8), "Information maximisation without a GAN was not tried."),
        (
            scores(0.9, 0.8, information_only=0.9),
            "alone has 90.0%: the GAN was not worth its cost here.",
        ),
        (
            scores(0.9, 0.8, information_only=0.8),
            "alone has 80.0%: the search is 10.0 points above.",
        ),
        (
            scores(0.9, 0.8, information_only=0.8, no_gan=0.91),
            "together 91.0%: the GAN was not worth its cost here.",
        ),
        (
            scores(0.9, 0.8, information_only=0.8, no_gan=0.88),
            "alone has 80.0%, task and information together 88.0%: the search is 2.0 points above.",
        ),
        (
            Scores(400, 0.9, 0.8, no_gan=0.88, p={"source_only": 0.001, "no_gan": 0.2}),
            "the search is 2.0 points above, too little to be sure of on one seed.",
        ),
    ],
)
def test_the_verdict_says_plainly(found: Scores, says: str) -> None:
    said = verdict(found)
    assert said.startswith(
        "The adapted classifier has 90.0% on the sealed test (86.6% to 92.8%, 95%)"
    )
    assert said.endswith(says) or says in said


def test_the_best_epoch_that_can_be_read_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder = make_search(search={"trials": 3}), ResultsFolder(tmp_path)
    study = simulate(spec, str(folder.journal), smooth)
    ranked = [(trial.number, record["epoch"]) for trial, record in studies.ranked_epochs(study)]
    lost, told = ranked[:2], io.StringIO()

    def load(checkpoints: CheckpointFolder, epoch: int) -> dict[str, Any]:
        trial = int(Path(checkpoints.path).parent.name)
        if (trial, epoch) in lost:
            raise CheckpointError("no room on the disk")
        return {"record": {"epoch": epoch}}

    monkeypatch.setattr(CheckpointFolder, "load", load)
    run: Any = SimpleNamespace(
        spec=spec, study=study, folder=folder, console=Console(file=told, width=200)
    )
    found = best_checkpoint(run)
    assert found is not None
    assert (found.number, found.epoch) == ranked[2]
    said = (
        f"the best epoch, {lost[0][1]} of trial {lost[0][0]}, is passed over: no room on the disk"
    )
    assert told.getvalue().strip() == said
    lost[:] = ranked
    assert best_checkpoint(run) is None
