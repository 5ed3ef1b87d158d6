"""What the searcher hands to Tune and tells the study."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.fake_search import make_result, make_search

from adaptune.errors import WorkersNotStartedError
from adaptune.search.searcher import StudySearcher
from adaptune.study import study as studies
from adaptune.study.objective import Objective
from adaptune.study.storage import load_study, open_study


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "study.journal")


def searcher(journal: str, concurrency: int = 1, trials: int = 3) -> StudySearcher:
    spec = make_search(search={"trials": trials})
    clock = iter(range(1000))
    study, guide = open_study(spec, journal), Objective(spec.search.metric)
    return StudySearcher(
        spec, study, guide, lambda _: concurrency, clock=lambda: float(next(clock))
    )


def test_no_more_than_concurrency_and_no_more_than_trials(journal: str) -> None:
    ours = searcher(journal, concurrency=2)
    assert [ours.suggest(name) and ours.remaining() for name in "abc"] == [2, 1, None]
    ours.on_trial_complete("a", make_result(9, 0.5))
    assert ours.suggest("c") is not None
    ours.on_trial_complete("b", make_result(9, 0.5))
    assert ours.suggest("d") is None  # c may yet be put back
    ours.on_trial_complete("c", make_result(9, 0.5))
    assert ours.suggest("d") == "FINISHED"
    assert ours.suggest("e") == "FINISHED"


def test_a_trial_that_is_put_back_goes_on_under_its_number(journal: str) -> None:
    ours = searcher(journal, trials=1)
    first = ours.suggest("a")
    ours.on_trial_complete("a", {"requeued": "no room", "done": True})
    assert ours.suggest("b") == first
    assert [trial.state for trial in load_study(journal).trials] == [TrialState.RUNNING]


def test_where_nothing_can_train_the_search_ends_and_says_how_to_go_on(journal: str) -> None:
    spec = make_search(resources={"wait_for_nodes_s": 2000})
    study, guide, now = open_study(spec, journal), Objective(spec.search.metric), [0.0]
    ours = StudySearcher(spec, study, guide, lambda _: 1, clock=lambda: now[0])
    ours.suggest("a")
    ours.on_trial_complete("a", {"requeued": "the workers did not start", "done": True})
    now[0] = 1999
    assert ours.suggest("b") is not None
    ours.on_trial_result("b", make_result(1, 0.5))  # it trained: patience begins anew
    ours.on_trial_complete("b", {"requeued": "the workers did not start", "done": True})
    now[0] = 3000
    assert ours.suggest("c") is not None
    ours.on_trial_complete("c", {"requeued": "the workers did not start", "done": True})
    now[0] = 4000
    with pytest.raises(
        WorkersNotStartedError, match=r"for 2000 s: the workers did not start\n.*--resume goes on"
    ):
        ours.suggest("d")


def test_a_trial_with_long_epochs_is_no_lack_of_room(journal: str) -> None:
    spec = make_search()
    study, guide, now = open_study(spec, journal), Objective(spec.search.metric), [0.0]
    ours = StudySearcher(spec, study, guide, lambda _: 2, clock=lambda: now[0])
    ours.suggest("long")
    ours.on_trial_result("long", make_result(1, 0.5))
    ours.suggest("homeless")
    ours.on_trial_complete("homeless", {"requeued": "no room", "done": True})
    now[0] = 5000
    assert ours.suggest("again") is not None


def test_a_cluster_without_nodes_is_waited_for(journal: str) -> None:
    spec = make_search()
    study, guide, now = open_study(spec, journal), Objective(spec.search.metric), [0.0]
    ours = StudySearcher(spec, study, guide, lambda _: 0, clock=lambda: now[0])
    assert ours.suggest("a") is None
    now[0] = 601
    with pytest.raises(WorkersNotStartedError, match="no node has room"):
        ours.suggest("a")


def test_a_failed_trial_keeps_its_message(journal: str) -> None:
    ours = searcher(journal)
    message = "NonFiniteLossError: step 7: the cycle term is nan"
    ours.suggest("a")
    ours.on_trial_result("a", make_result(1, 0.5))
    ours.on_trial_complete("a", {"error": message, "done": True})
    ours.suggest("b")
    ours.on_trial_complete("b", None, error=True)
    failed = load_study(journal).trials
    assert [trial.state for trial in failed] == [TrialState.FAIL] * 2
    assert failed[0].user_attrs["error"] == message
    assert studies.curve(failed[0]) == {1: 0.5}
    assert failed[1].user_attrs["error"] == "the trial's process died again and again"


def test_the_last_result_is_kept_and_the_clock_is_read(journal: str) -> None:
    ours = searcher(journal)
    ours.suggest("a")
    ours.on_trial_result("a", make_result(1, 0.5))
    ours.on_trial_complete("a", make_result(2, 0.75))
    (trial,) = load_study(journal).trials
    assert studies.curve(trial) == {1: 0.5, 2: 0.75}
    assert trial.user_attrs["wall_s"] == 1.0


def test_after_a_kill_the_interrupted_trial_comes_first_under_its_number(journal: str) -> None:
    killed = searcher(journal)
    killed.suggest("a")
    killed.on_trial_complete("a", make_result(9, 0.5))
    interrupted = killed.suggest("b")
    killed.on_trial_result("b", make_result(1, 0.25))

    ours = searcher(journal)
    assert ours.remaining() == 2
    assert ours.suggest("c") == interrupted
    ours.on_trial_result("c", make_result(1, 0.25))
    ours.on_trial_complete("c", make_result(9, 0.5))
    assert ours.suggest("d")["number"] == 2
    ours.on_trial_complete("d", make_result(9, 0.5))
    assert ours.suggest("e") == "FINISHED"
    assert [trial.state for trial in load_study(journal).trials] == [TrialState.COMPLETE] * 3


def test_trials_whose_node_is_gone_are_not_waited_for_for_ever() -> None:
    now, room = [0.0], [1]
    spec = make_search()
    study = studies.create_study(spec, None)
    ours = StudySearcher(
        spec, study, Objective(spec.search.metric), lambda _: room[0], clock=lambda: now[0]
    )
    assert ours.suggest("a") is not None
    room[0] = 0
    ours.watch(running=True)  # its process has not been missed yet
    now[0] = 1000.0
    ours.watch(running=False)
    now[0] = 1601.0
    with pytest.raises(WorkersNotStartedError, match="no node has room for one"):
        ours.watch(running=False)
