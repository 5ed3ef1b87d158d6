from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from support.fake_search import make_search

from adaptune.spec.schema import SearchSpec
from adaptune.study.requests import Request
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy, create_study

PLANNED = 12
CYCLE = "loss_weights.cycle"
FINISH = Request(action="finish")


@pytest.fixture
def spec() -> SearchSpec:
    return make_search()


@pytest.fixture
def study(spec: SearchSpec, journal: Path) -> SearchStudy:
    return open_study(spec, journal)


def carry_out(study: SearchStudy, name: str, request: Request, planned: int = PLANNED) -> str:
    message = study.steering.carry_out(name, request, planned=planned)
    assert message is not None
    return message


def test_added_trials_count_in_later_sessions(
    study: SearchStudy, spec: SearchSpec, journal: Path
) -> None:
    assert study.steering.trials(PLANNED) == PLANNED
    assert carry_out(study, "1", Request(action="add", trials=3)) == "on request: 3 trial(s) added"
    assert study.steering.trials(PLANNED) == PLANNED + 3
    assert open_study(spec, journal).steering.trials(PLANNED) == PLANNED + 3


def test_a_request_is_carried_out_once(study: SearchStudy, spec: SearchSpec, journal: Path) -> None:
    request = Request(action="add", trials=3)
    carry_out(study, "1", request)
    again = open_study(spec, journal).steering
    assert again.carry_out("1", request, planned=PLANNED) is None
    assert again.trials(PLANNED) == PLANNED + 3


def test_a_setting_to_try_is_the_next_trial(study: SearchStudy) -> None:
    first = study.ask()
    message = carry_out(study, "1", Request(action="try", values={CYCLE: 3.0}))
    assert message == "on request: trial 1 will try cycle=3"
    assert study.steering.trials(PLANNED) == PLANNED + 1
    assert study.started == 1
    tried = study.ask()
    assert (first.number, tried.number) == (0, 1)
    assert tried.params[CYCLE] == 3.0
    assert set(tried.params) == {CYCLE, "loss_weights.identity"}
    assert not study.trial(1).is_start_point
    assert study.ask().params[CYCLE] != 3.0


def test_a_setting_to_try_may_be_0_beside_a_range() -> None:
    with_zero = {CYCLE: {"search": "loguniform", "low": 0.1, "high": 10, "zero": 0.2}}
    study = create_study(make_search(space=with_zero))
    carry_out(study, "1", Request(action="try", values={CYCLE: 0.0}))
    tried = study.ask()
    assert study.trial(tried.number).values == {CYCLE: 0.0}


def test_a_kill_after_the_trial_was_created_creates_no_second_one(
    study: SearchStudy, spec: SearchSpec, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(action="try", values={CYCLE: 3.0})

    def kill(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", kill)
        with pytest.raises(SystemExit):
            carry_out(study, "1", request)
    resumed = open_study(spec, journal)
    assert carry_out(resumed, "1", request) == "on request: trial 0 will try cycle=3"
    waiting = resumed.optuna_study.get_trials(states=(TrialState.WAITING,))
    assert len(waiting) == 1


def test_only_a_running_trial_can_be_stopped(study: SearchStudy) -> None:
    trial = study.ask()
    message = carry_out(study, "1", Request(action="stop", trial=0))
    assert message == "on request: trial 0 stops after its current epoch"
    assert study.steering.is_stopped(0)
    assert not study.steering.is_stopped(1)
    study.tell_result(trial, epochs=9, error="an error", wall_s=1)
    message = carry_out(study, "2", Request(action="stop", trial=0))
    assert message == "on request: trial 0 is not running; nothing is stopped"
    assert "not running" in carry_out(study, "3", Request(action="stop", trial=1))
    assert not study.steering.is_stopped(1)


def test_an_end_leaves_the_trials_that_have_begun(study: SearchStudy) -> None:
    study.ask()
    study.ask()
    carry_out(study, "1", FINISH)
    assert study.steering.trials(PLANNED) == 2
    carry_out(study, "2", Request(action="add", trials=1))
    assert study.steering.trials(PLANNED) == 3


def test_a_search_that_is_extended_after_an_end_continues(study: SearchStudy) -> None:
    study.ask()
    carry_out(study, "1", FINISH)
    assert study.steering.trials(PLANNED) == 1
    assert study.steering.trials(PLANNED + 4) == PLANNED + 4


def test_a_reader_sees_later_requests(study: SearchStudy, spec: SearchSpec, journal: Path) -> None:
    reader = read_study(spec, journal).steering
    carry_out(study, "1", Request(action="add", trials=1))
    assert reader.trials(PLANNED) == PLANNED
    reader.read()
    assert reader.trials(PLANNED) == PLANNED + 1
