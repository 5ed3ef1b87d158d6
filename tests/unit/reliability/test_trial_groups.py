"""A search with trial groups that is killed again and again."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from support.failing_calls import FailingCalls, Failure, ProcessKilled
from support.fake_run import constant_classifier
from support.file_calls import FileCalls
from support.searched_folder import SearchWithoutRay, make_spec, outcome, resume_and_compare

from adaptune.cluster import source_classifier
from adaptune.results.folder import results_folder
from adaptune.spec.schema import SearchSpec
from adaptune.study.inputs import read_inputs
from adaptune.study.job import make_job
from adaptune.study.storage import read_study
from adaptune.training.checkpoint_format import eval_weights

KILLS = 10
GROUPS: dict[str, Any] = {"trials": 6, "startup_trials": 3, "classifiers_per_gan": 3}
FEATURE = {"search": "uniform", "low": 0.1, "high": 1.0}


def make_groups(out: Path) -> SearchSpec:
    return make_spec(out, search=GROUPS, loss_weights={"feature": FEATURE})


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> SearchWithoutRay:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = SearchWithoutRay()
    search.install(monkeypatch)
    return search


def kill_at(search: SearchWithoutRay, spec: SearchSpec, call: int) -> bool:
    """Run the search until a file call, with which its process is killed; False if it ended."""
    calls = FailingCalls(call, Failure.KILL, 0)
    folder = results_folder(spec.name, spec.storage).path
    with pytest.MonkeyPatch.context() as patch, suppress(ProcessKilled):
        FileCalls(folder.parent, calls).install(patch)
        search.run(spec)
    return calls.failed is not None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_ten_kills_leave_the_result_of_the_undisturbed_search(
    tmp_path: Path, search: SearchWithoutRay, seed: int
) -> None:
    undisturbed = make_groups(tmp_path / "undisturbed")
    search.run(undisturbed)
    expected = outcome(undisturbed)
    assert [row["group"] for row in expected.trials] == [0, 0, 0, 3, 3, 3]
    assert {row["state"] for row in expected.trials} == {"COMPLETE", "PRUNED"}
    disturbed = make_groups(tmp_path / "disturbed")
    choice = random.Random(seed)
    kills = sum(kill_at(search, disturbed, choice.randint(20, 90)) for _ in range(KILLS))
    assert kills > 5
    assert resume_and_compare(search, disturbed, expected) == []


def lose_f_s(spec: SearchSpec, monkeypatch: pytest.MonkeyPatch, label: int) -> None:
    """Delete f_S; training it again gives other weights."""
    folder = results_folder(spec.name, spec.storage)
    folder.source_classifier.unlink(missing_ok=True)
    shutil.rmtree(folder.source_classifiers, ignore_errors=True)
    weights = constant_classifier(spec.trial({}), label)
    monkeypatch.setattr(
        source_classifier, "train_source_classifier", lambda *_, **__: dict(weights)
    )


def best_checkpoints(spec: SearchSpec) -> dict[int, object]:
    """Return the bias of f_T in the checkpoint of each trial's best epoch."""
    folder = results_folder(spec.name, spec.storage)
    study = read_study(spec, folder.journal)
    found: dict[int, object] = {}
    for trial in study.started_trials():
        inputs = read_inputs(study)
        job = make_job(spec, trial.number, trial.values, folder, inputs, leader=trial.leader)
        assert trial.best_epoch is not None
        contents = job.checkpoints.load(trial.best_epoch.number)
        found[trial.number] = eval_weights(contents, "f_t")["bias"].tolist()
    return found


@pytest.mark.slow
def test_ended_trials_keep_their_checkpoints_although_f_s_changes(
    tmp_path: Path, search: SearchWithoutRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = make_groups(tmp_path / "undisturbed")
    search.run(undisturbed)
    expected, checkpoints = outcome(undisturbed), best_checkpoints(undisturbed)
    choice = random.Random(0)
    for call in range(60, 180, 4):
        disturbed = make_groups(tmp_path / f"disturbed-{call}")
        for label, last_call in enumerate((call, choice.randint(1, 60))):
            kill_at(search, disturbed, last_call)
            lose_f_s(disturbed, monkeypatch, 2 * label)
        assert resume_and_compare(search, disturbed, expected) == []
        assert best_checkpoints(disturbed) == checkpoints
    assert list(tmp_path.rglob("*.earlier-*.pt"))  # otherwise no group has started again
