from __future__ import annotations

import pytest
from support.fake_search import make_record, make_search

from adaptune.spec.distributions import Choice, Int, LogUniform, Uniform
from adaptune.spec.schema import SearchSpec
from adaptune.study.baseline_objectives import store_baseline_objectives
from adaptune.study.progress import SearchProgress, store_progress
from adaptune.study.requests import Request
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.record import HealthReport
from adaptune.training.significance import accuracy_interval
from adaptune.workflows.snapshot import SnapshotReader, position

PROGRESS = SearchProgress("2 trials at a time", nodes=1, workers=2, target_val=100, start=900.0)


@pytest.fixture
def spec() -> SearchSpec:
    return make_search(search={"start_points": [{"loss_weights.cycle": 30.0}]})


@pytest.fixture
def study(spec: SearchSpec) -> SearchStudy:
    return create_study(spec)


@pytest.fixture
def reader(study: SearchStudy, spec: SearchSpec) -> SnapshotReader:
    return SnapshotReader(study, spec, clock=lambda: 1000.0)


def test_a_search_before_its_first_trial(reader: SnapshotReader) -> None:
    snapshot = reader.read()
    assert (snapshot.ended, snapshot.total, snapshot.best) == (0, 12, None)
    assert (snapshot.running, snapshot.last_ended, snapshot.left_s) == ([], [], None)


def test_trials_with_their_best_epochs_and_the_places_of_their_values(
    study: SearchStudy, reader: SnapshotReader
) -> None:
    trial = study.ask()
    for epoch, accuracy in enumerate([0.2, 0.6, 0.4], start=1):
        study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
    [view] = reader.read().running
    assert (view.number, view.state, view.epoch) == (0, "running", 3)
    assert (view.best_epoch, view.best, view.curve) == (2, 0.6, (0.2, 0.6, 0.4))
    assert view.positions[0] == 1.0  # cycle is at its upper bound
    assert view.active_s == 7.5


def test_ended_trials_come_with_the_last_one_first(
    study: SearchStudy, reader: SnapshotReader
) -> None:
    trials = [study.ask() for _ in range(3)]
    study.add_epoch(trials[0], make_record(1, 0.5), 0.5)
    study.tell_result(trials[2], epochs=9, error="the cycle\nterm is nan", wall_s=1)
    assert [view.number for view in reader.read().last_ended] == [2]
    study.tell_result(trials[0], epochs=9, error=None, wall_s=1)
    snapshot = reader.read()
    ended = [(view.number, view.state, view.note) for view in snapshot.last_ended]
    assert ended == [(0, "stopped early", ""), (2, "failed", "the cycle term is nan")]
    assert [view.number for view in snapshot.running] == [1]


def test_a_failed_trial_is_not_the_best(study: SearchStudy, reader: SnapshotReader) -> None:
    failed, running = study.ask(), study.ask()
    study.add_epoch(failed, make_record(1, 0.9), 0.9)
    study.add_epoch(running, make_record(1, 0.5), 0.5)
    study.tell_result(failed, epochs=9, error="an error", wall_s=1)
    best = reader.read().best
    assert best is not None
    assert (best.number, best.best) == (1, 0.5)


def test_what_the_driver_stored_gives_time_interval_and_device_time(
    study: SearchStudy, reader: SnapshotReader
) -> None:
    study.add_epoch(study.ask(), make_record(1, 0.8), 0.8)
    store_progress(study, PROGRESS.with_end(1300.0))
    snapshot = reader.read()
    assert snapshot.left_s == 300.0
    assert snapshot.device_s == 2 * 2.5
    assert snapshot.interval == accuracy_interval(80, 100)


def test_the_best_baseline_is_that_of_those_known_so_far(
    study: SearchStudy, reader: SnapshotReader
) -> None:
    assert reader.read().baseline is None
    store_baseline_objectives(study, {"source_only": 0.6}, "f_S")
    assert reader.read().baseline == ("source only", 0.6)
    store_baseline_objectives(study, {"no_gan": 0.7, "fda": 0.65}, "f_S")
    assert reader.read().baseline == ("no GAN", 0.7)


def test_f_s_in_the_colours_of_the_target_is_no_baseline_of_another_name(
    study: SearchStudy, reader: SnapshotReader
) -> None:
    store_baseline_objectives(study, {"f_s": 0.6}, "f_S")
    assert reader.read().baseline == ("f_S", 0.6)


def test_another_metric_than_the_accuracy_has_no_interval() -> None:
    spec = make_search(search={"metric": "infomax"})
    study = create_study(spec)
    study.add_epoch(study.ask(), make_record(1, 0.8), 0.8)
    store_progress(study, PROGRESS)
    assert SnapshotReader(study, spec).read().interval is None


def test_notes_name_a_symptom_and_a_request(study: SearchStudy, reader: SnapshotReader) -> None:
    trial = study.ask()
    health = HealthReport(0.1, 0.5, 0.0, 0.5, "", "collapse: 0.1", "collapse: 0.1")
    study.add_epoch(trial, make_record(1, 0.8, health=health), 0.8)
    study.steering.carry_out("1", Request(action="stop", trial=0), planned=12)
    assert reader.read().running[0].note == "on request, unhealthy: collapse: 0.1"


def test_requested_trials_are_counted(study: SearchStudy, reader: SnapshotReader) -> None:
    study.steering.carry_out("1", Request(action="add", trials=3), planned=12)
    assert reader.read().total == 15


def test_places_of_values_in_their_ranges() -> None:
    log = LogUniform(search="loguniform", low=0.1, high=10)
    assert position(log, 1.0) == pytest.approx(0.5)
    assert position(Uniform(search="uniform", low=1, high=5), 2.0) == 0.25
    assert position(Int(search="int", low=2, high=6), 6) == 1.0
    choice = Choice(search="choice", values=("a", "b", "c"))
    assert [position(choice, value) for value in "abc"] == [0.0, 0.5, 1.0]
    assert position(Choice(search="choice", values=(1,)), 1) == 0.0
    assert position(log, None) is None
    assert position(log.model_copy(update={"zero": 0.2}), 0.0) == 0.0
