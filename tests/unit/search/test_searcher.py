from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.fake_search import NODE_TIMEOUT_S, make_result, make_search

from adaptune.cluster.shortage import IN_USE
from adaptune.errors import WorkersNotStartedError
from adaptune.search.protocol import GroupConfig, GroupResult, TrialResult
from adaptune.search.searcher import StudySearcher
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.trial import TrialPlacement

NO_WORKERS = "the workers did not start"


@dataclass
class FakeClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make_searcher(
    study: SearchStudy,
    *,
    trials: int = 3,
    node_timeout_s: float = NODE_TIMEOUT_S,
    capacity: Callable[[int], int] = lambda _: 1,
    clock: FakeClock | None = None,
) -> StudySearcher:
    budget = SearchBudget(trials, epochs=9, node_timeout_s=node_timeout_s)
    objective = Objective(study.metric)
    return StudySearcher(study, objective, budget, capacity, clock=clock or FakeClock())


def requeued(reason: str) -> dict[str, object]:
    return GroupResult(requeue_reason=reason, done=True).to_tune()


def number_of(config: object) -> int:
    assert isinstance(config, dict)
    return GroupConfig.from_tune(config).leader


@pytest.fixture
def study() -> SearchStudy:
    return create_study(make_search())


def test_no_more_run_than_the_capacity_and_no_more_in_all_than_the_budget(
    study: SearchStudy,
) -> None:
    searcher = make_searcher(study, capacity=lambda _: 2)
    remaining = []
    for name in "ab":
        assert searcher.suggest(name) is not None
        remaining.append(searcher.remaining())
    assert remaining == [2, 1]
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", make_result(9, 0.5))
    assert searcher.suggest("c") is not None
    searcher.on_trial_complete("b", make_result(9, 0.5, number=1))
    assert searcher.suggest("d") is None  # c may yet be requeued
    searcher.on_trial_complete("c", make_result(9, 0.5, number=2))
    assert searcher.suggest("d") == "FINISHED"
    assert searcher.suggest("e") == "FINISHED"


def test_the_capacity_is_asked_for_all_unfinished_trials(study: SearchStudy) -> None:
    unfinished = []

    def capacity(count: int) -> int:
        unfinished.append(count)
        return 1

    searcher = make_searcher(study, trials=3, capacity=capacity)
    for number, name in enumerate("abc"):
        searcher.suggest(name)
        searcher.on_trial_complete(name, make_result(9, 0.5, number=number))
    assert unfinished == [3, 2, 1]


def test_a_requeued_trial_comes_again_under_its_number(study: SearchStudy) -> None:
    searcher = make_searcher(study, trials=1)
    first = searcher.suggest("a")
    searcher.on_trial_complete("a", requeued("no room"))
    assert searcher.suggest("b") == first
    assert [trial.state for trial in study.started_trials()] == [TrialState.RUNNING]


def test_a_search_in_which_nothing_can_train_ends_with_the_way_to_resume(
    study: SearchStudy,
) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, node_timeout_s=2000, clock=clock)
    searcher.suggest("a")
    searcher.on_trial_complete("a", requeued(NO_WORKERS))
    clock.now = 1999
    assert searcher.suggest("b") is not None
    searcher.on_trial_result("b", make_result(1, 0.5))  # it trained: the timeout begins again
    searcher.on_trial_complete("b", requeued(NO_WORKERS))
    clock.now = 3000
    assert searcher.suggest("c") is not None
    searcher.on_trial_complete("c", requeued(NO_WORKERS))
    clock.now = 4000
    message = rf"for 2000 s: {NO_WORKERS}\n.*--resume continues"
    with pytest.raises(WorkersNotStartedError, match=message):
        searcher.suggest("d")


def test_a_trial_with_long_epochs_is_no_shortage(study: SearchStudy) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, capacity=lambda _: 2, clock=clock)
    searcher.suggest("long")
    searcher.on_trial_result("long", make_result(1, 0.5))
    searcher.suggest("requeued")
    searcher.on_trial_complete("requeued", requeued("no room"))
    clock.now = 5000
    assert searcher.suggest("again") is not None


def test_a_trial_that_has_workers_is_no_shortage_before_its_first_epoch(
    study: SearchStudy,
) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, capacity=lambda _: 2, clock=clock)
    searcher.suggest("long")
    searcher.suggest("requeued")
    clock.now = 60  # by then, the first trial would have been requeued as well
    searcher.on_trial_complete("requeued", requeued("no room"))
    clock.now = 5000
    assert searcher.suggest("again") is not None


def test_a_cluster_without_nodes_is_waited_for(study: SearchStudy) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, capacity=lambda _: 0, clock=clock)
    assert searcher.suggest("a") is None
    clock.now = 600
    assert searcher.suggest("a") is None
    clock.now = 601
    with pytest.raises(WorkersNotStartedError, match="no node has room"):
        searcher.suggest("a")


def test_a_failed_trial_keeps_its_message(study: SearchStudy) -> None:
    searcher = make_searcher(study)
    message = "NonFiniteLossError: step 7: the cycle term is nan"
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(1, 0.5))
    failure = GroupResult({0: TrialResult(error=message, done=True)}, done=True)
    searcher.on_trial_complete("a", failure.to_tune())
    searcher.suggest("b")
    searcher.on_trial_complete("b", None, error=True)
    failed, dead = study.started_trials()
    assert failed.state == dead.state == TrialState.FAIL
    assert failed.error == message
    assert failed.curve == {1: 0.5}
    assert dead.error == "the trial's process died repeatedly"


def test_the_last_result_and_the_time_of_a_trial_are_stored(study: SearchStudy) -> None:
    clock = FakeClock(now=10.0)
    searcher = make_searcher(study, clock=clock)
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(1, 0.5))
    clock.now = 17.5
    searcher.on_trial_complete("a", make_result(2, 0.75))
    [trial] = study.started_trials()
    assert trial.curve == {1: 0.5, 2: 0.75}
    assert trial.wall_s == 7.5


def test_the_ensemble_is_computed_by_the_driver_from_all_trials() -> None:
    study = create_study(make_search(search={"metric": "ensemble"}))
    searcher = make_searcher(study)
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(1, 0.2))
    searcher.on_trial_complete("a", make_result(2, 0.4))
    assert study.trial(0).curve == {1: 0.5, 2: 0.75}


def test_after_a_kill_the_interrupted_trial_comes_first_under_its_number(tmp_path: Path) -> None:
    spec = make_search()
    journal = tmp_path / "study.journal"
    killed = make_searcher(open_study(spec, journal))
    killed.suggest("a")
    killed.on_trial_complete("a", make_result(9, 0.5))
    interrupted = killed.suggest("b")
    killed.on_trial_result("b", make_result(1, 0.25, number=1))

    searcher = make_searcher(open_study(spec, journal))
    assert searcher.remaining() == 2
    assert searcher.suggest("c") == interrupted
    searcher.on_trial_result("c", make_result(1, 0.25, number=1))
    searcher.on_trial_complete("c", make_result(9, 0.5, number=1))
    assert number_of(searcher.suggest("d")) == 2
    searcher.on_trial_complete("d", make_result(9, 0.5, number=2))
    assert searcher.suggest("e") == "FINISHED"
    trials = read_study(spec, journal).started_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    wall_s = [trial.wall_s for trial in trials]
    assert wall_s == [0.0, None, 0.0]  # the start of the interrupted one is not known


def test_trials_whose_node_is_gone_are_not_waited_for_for_ever(study: SearchStudy) -> None:
    clock = FakeClock()
    room = [1]
    searcher = make_searcher(study, capacity=lambda _: room[0], clock=clock)
    assert searcher.suggest("a") is not None
    searcher.on_trial_result("a", make_result(1, 0.5))
    room[0] = 0
    searcher.check_shortage(any_running=True)  # nobody has noticed yet that its process is gone
    clock.now = 1000
    searcher.check_shortage(any_running=False)
    clock.now = 1601
    with pytest.raises(WorkersNotStartedError, match="no node has room for a trial"):
        searcher.check_shortage(any_running=False)


def test_trials_for_which_other_jobs_leave_no_room_are_waited_for_in_public(
    study: SearchStudy,
) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, clock=clock)
    assert searcher.check_shortage(any_running=False) is None  # no trial has started
    searcher.suggest("a")
    notices = []
    for clock.now in (5000.0, 5059.0, 5060.0, 5600.0):
        notices.append(searcher.check_shortage(any_running=False))
    line = f"no trial could train for 60 s: {IN_USE}"
    assert notices == [None, None, line, line]
    clock.now = 5601.0
    with pytest.raises(WorkersNotStartedError, match=IN_USE):
        searcher.check_shortage(any_running=False)


def test_a_trial_that_runs_ends_the_wait_for_other_jobs(study: SearchStudy) -> None:
    clock = FakeClock()
    searcher = make_searcher(study, clock=clock)
    searcher.suggest("a")
    for clock.now in (0.0, 500.0, 1000.0, 1500.0):
        assert searcher.check_shortage(any_running=clock.now == 500.0) is None or clock.now == 1500


def test_an_error_of_the_study_at_the_end_of_a_trial_is_kept_and_the_trial_too(
    study: SearchStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = make_searcher(study)
    searcher.suggest("a")
    error = OSError(28, "No space left on device")

    def fail(*_: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(study, "tell_result", fail)
    for _ in range(2):  # Tune ends the trial again
        with pytest.raises(OSError, match="No space left"):
            searcher.on_trial_complete("a", make_result(9, 0.5))
    with pytest.raises(OSError, match="No space left"):
        searcher.suggest("b")
    with pytest.raises(OSError, match="No space left") as caught:
        searcher.check_shortage(any_running=True)
    assert caught.value is error


def test_the_placement_of_a_trial_is_stored_at_its_end(study: SearchStudy) -> None:
    placement = TrialPlacement("in_process", 1)
    budget = SearchBudget(1, epochs=9, node_timeout_s=NODE_TIMEOUT_S)
    objective = Objective(study.metric)
    searcher = StudySearcher(study, objective, budget, lambda _: 1, placement=placement)
    searcher.suggest("a")
    assert study.trial(0).placement is None
    searcher.on_trial_complete("a", make_result(9, 0.5))
    assert study.trial(0).placement == placement


def test_the_searcher_has_nothing_to_save(study: SearchStudy, tmp_path: Path) -> None:
    searcher = make_searcher(study)
    searcher.save(str(tmp_path / "state"))
    searcher.save_to_dir(str(tmp_path))
    searcher.restore(str(tmp_path / "state"))
    assert not any(tmp_path.iterdir())
