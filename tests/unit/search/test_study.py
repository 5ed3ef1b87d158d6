"""The study: what it proposes, and how trials end in it."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from support.fake_search import make_record, make_search

from adaptune.errors import ResultsError
from adaptune.study import study as studies
from adaptune.study.storage import load_study, open_study


def note(trial: optuna.Trial, epoch: int, accuracy: float, loss: float = 1.0) -> bool:
    return studies.add_epoch(trial, make_record(epoch, accuracy, loss), accuracy)


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "study.journal")


def test_start_points_come_first_once_and_values_lie_in_the_space(journal: str) -> None:
    point = {"loss_weights.cycle": 10.0}
    spec = make_search(search={"start_points": [point, {"loss_weights.identity": 2.0}]})
    trials = []
    for _ in range(4):  # reopened each time
        trials.append(studies.ask(open_study(spec, journal), spec))
    assert trials[0].params["loss_weights.cycle"] == 10.0
    assert trials[1].params["loss_weights.identity"] == 2.0
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    for trial in trials:
        assert 0.1 <= trial.params["loss_weights.cycle"] <= 30
        assert 0 <= trial.params["loss_weights.identity"] <= 5
    assert trials[2].params != trials[3].params


def test_all_kinds_of_distributions_are_drawn(journal: str) -> None:
    spec = make_search(
        space={
            "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
            "model.generator.blocks": {"search": "int", "low": 1, "high": 5, "step": 2},
        }
    )
    study = open_study(spec, journal)
    drawn = [studies.ask(study, spec).params for _ in range(8)]
    assert {params["model.generator.blocks"] for params in drawn} <= {1, 3, 5}
    assert {params["training.gan_loss"] for params in drawn} == {"lsgan", "log"}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_proposals_depend_on_the_seed_and_the_history_alone(tmp_path: Path, sampler: str) -> None:
    spec = make_search(search={"sampler": sampler, "startup_trials": 2})

    def proposals(name: str, *, reopened: bool, seed: int = 0) -> list[dict[str, float]]:
        ours = spec.model_copy(update={"seed": seed})
        study = open_study(ours, str(tmp_path / name))
        found = []
        for number in range(5):
            if reopened:
                study = open_study(ours, str(tmp_path / name))
            trial = studies.ask(study, ours)
            note(trial, 9, 0.1 * number)
            studies.finish(study, trial, epochs=9, error=None, wall_s=1)
            found.append(trial.params)
        return found

    undisturbed = proposals("undisturbed", reopened=False)
    assert proposals("reopened", reopened=True) == undisturbed
    assert proposals("other", reopened=False, seed=1) != undisturbed


def test_a_complete_trial_is_worth_its_best_epoch_and_a_pruned_one_its_last(journal: str) -> None:
    spec = make_search(training={"epochs": 3})
    study = open_study(spec, journal)
    for accuracies, error in (((0.2, 0.9, 0.5), None), ((0.7, 0.4), None), ((0.6,), "step 3: nan")):
        trial = studies.ask(study, spec)
        for epoch, accuracy in enumerate(accuracies, start=1):
            note(trial, epoch, accuracy)
        studies.finish(study, trial, epochs=3, error=error, wall_s=1)
    complete, pruned, failed = load_study(journal).trials
    assert (complete.state, complete.value) == (TrialState.COMPLETE, 0.9)
    assert (pruned.state, pruned.value) == (TrialState.PRUNED, 0.4)
    assert studies.curve(pruned) == pruned.intermediate_values == {1: 0.7, 2: 0.4}
    assert (failed.state, failed.value) == (TrialState.FAIL, None)
    assert failed.user_attrs["error"] == "step 3: nan"
    assert studies.best_trial(study) == complete


def test_a_trial_whose_metric_cannot_be_computed_fails_and_says_so(journal: str) -> None:
    spec = make_search(search={"metric": "dev"}, training={"epochs": 1})
    study = open_study(spec, journal)
    trial = studies.ask(study, spec)
    studies.add_epoch(trial, make_record(1, 0.5) | {"validator/dev": math.nan}, math.nan)
    assert studies.finish(study, trial, epochs=1, error=None, wall_s=1) == TrialState.FAIL
    assert (
        load_study(journal)
        .trials[0]
        .user_attrs["error"]
        .startswith("search.metric dev cannot be computed")
    )


def test_an_epoch_is_noted_once(journal: str) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    trial = studies.ask(study, spec)
    assert note(trial, 1, 0.5)
    (again,) = studies.interrupted(open_study(spec, journal))
    assert not note(again, 1, 0.9)
    assert studies.curve(again) == {1: 0.5}


def test_among_equals_the_lower_loss_is_best_and_none_without_records(journal: str) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    assert studies.best_trial(study) is None
    for loss in (0.9, 0.3, 0.6):
        trial = studies.ask(study, spec)
        note(trial, 9, 0.5, loss)
        studies.finish(study, trial, epochs=9, error=None, wall_s=1)
    best = studies.best_trial(study)
    assert best is not None
    assert best.number == 1


def test_loading_a_study_that_is_not_there_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no study"):
        load_study(str(tmp_path / "study.journal"))
    assert not any(tmp_path.iterdir())
    (tmp_path / "empty").touch()
    with pytest.raises(ResultsError, match="there is no study in"):
        load_study(str(tmp_path / "empty"))


def test_a_torn_last_line_costs_no_more_than_itself(journal: str) -> None:
    spec = make_search()
    studies.ask(open_study(spec, journal), spec)
    with Path(journal).open("a") as file:
        file.write('{"op_code": 5, "worker')  # as a full disk leaves it
    studies.ask(open_study(spec, journal), spec)
    assert [trial.number for trial in studies.started(load_study(journal))] == [0, 1]


def test_the_wall_clock_adds_up_the_runs_of_a_killed_driver(journal: str) -> None:
    spec = make_search()
    killed = studies.WallClock(open_study(spec, journal), since=time.perf_counter() - 100)
    assert killed.note() == pytest.approx(100, abs=1)
    resumed = studies.WallClock(open_study(spec, journal), since=time.perf_counter() - 20)
    assert resumed.note() == pytest.approx(120, abs=1)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A write beyond is cut short and fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_journal_as_it_was_and_the_study_goes_on(journal: str) -> None:
    spec = make_search()
    trial = studies.ask(open_study(spec, journal), spec)
    before = Path(journal).read_bytes()
    with no_file_larger_than(len(before) + 20), pytest.raises(OSError, match="File too large"):
        note(trial, 1, 0.5)
    assert Path(journal).read_bytes() == before
    note(trial, 1, 0.5)  # there is space again
    assert studies.curve(studies.started(load_study(journal))[0]) == {1: 0.5}


@pytest.mark.parametrize("startup_trials", [1, 9])
def test_a_trial_that_was_interrupted_between_two_values_is_given_the_rest(
    journal: str, startup_trials: int
) -> None:
    spec = make_search(search={"startup_trials": startup_trials})
    study = open_study(spec, journal)
    for accuracy in (0.5, 0.6, 0.7):
        trial = studies.ask(study, spec)
        note(trial, 9, accuracy)
        studies.finish(study, trial, epochs=9, error=None, wall_s=1.0)
    asked = studies.ask(study, spec).params
    lines = Path(journal).read_text().splitlines(keepends=True)
    assert '"param_name":"loss_weights.identity"' in lines[-1]
    Path(journal).write_text("".join(lines[:-1]))
    (half,) = studies.interrupted(open_study(spec, journal))
    assert set(half.params) == {"loss_weights.cycle"}
    whole = studies.resume_trial(half, spec).params
    assert set(whole) == set(asked)
    assert whole["loss_weights.cycle"] == asked["loss_weights.cycle"]
    assert 0 <= whole["loss_weights.identity"] <= 5
