"""Trial groups between Tune, the scheduler, the searcher and the study."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import Trial, TrialState
from ray.tune.schedulers import TrialScheduler
from support.fake_search import (
    FakeTrial,
    FakeTune,
    history,
    make_config,
    make_record,
    make_search,
    simulate,
)

from adaptune.search.protocol import (
    EPOCH,
    OBJECTIVE,
    GroupConfig,
    GroupResult,
    TrialResult,
)
from adaptune.search.ray_schedulers import RankedTrial, make_scheduler
from adaptune.search.scheduler import GroupHooks, StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.spec.algorithms import Asha
from adaptune.spec.schema import SearchSpec
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy, create_study

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
SPACE = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
    "loss_weights.information": {"search": "uniform", "low": 0, "high": 1},
}


def make_spec(**search: Any) -> SearchSpec:
    options = {"trials": 12, "startup_trials": 4} | search
    return make_search(SPACE, search=options, seed=3)


def curve(values: Mapping[str, Any], epoch: int) -> float:
    quality = 1 / (1 + abs(values["loss_weights.cycle"] - 3) / 10)
    return float(quality * (1 - 0.5**epoch) * (1 - 0.3 * values["loss_weights.information"]))


def epochs(accuracies: Mapping[int, float], epoch: int = 1) -> dict[str, Any]:
    results = {}
    for number, accuracy in accuracies.items():
        results[number] = TrialResult(make_record(epoch, accuracy), accuracy)
    return GroupResult(results).to_tune()


class Scheduled:
    """A scheduler with a group of four trials."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, set[int]]] = []
        self.stopped: list[set[int]] = []
        study = create_study(make_spec())
        hooks = GroupHooks(
            end_trials=lambda trial_id, numbers: self.ended.append((trial_id, set(numbers))),
            stop=lambda _, numbers: self.stopped.append(set(numbers)),
        )
        options = Asha(grace_epochs=1, reduction_factor=2)
        self.scheduler = StudyScheduler(options, 9, study, Objective(study.metric), hooks=hooks)
        self.trial = FakeTrial("tune-1", make_config(0, 1, 2, 3))
        self.scheduler.on_trial_add(None, self.trial)

    def report(self, result: dict[str, Any]) -> str:
        self.trial.last_result = result
        return str(self.scheduler.on_trial_result(None, self.trial, result))


def test_each_trial_of_a_group_is_stopped_by_itself() -> None:
    group = Scheduled()
    assert group.report(epochs({0: 0.5, 1: 0.9, 2: 0.3, 3: 0.8})) == CONTINUE
    assert group.stopped == [{2}]
    assert group.ended == [("tune-1", {2})]
    assert group.trial.group.running_numbers == (0, 1, 3)
    assert group.report(epochs({0: 0.8, 1: 0.9, 3: 0.1}, epoch=2)) == CONTINUE
    assert group.stopped == [{2}, {3}]


def test_a_group_is_stopped_with_its_last_trial() -> None:
    group = Scheduled()
    other = FakeTrial("tune-2", make_config(4))
    group.scheduler.on_trial_add(None, other)
    group.scheduler.on_trial_result(None, other, epochs({4: 0.99}))
    assert group.report(epochs({0: 0.4, 1: 0.3, 2: 0.2, 3: 0.1})) == STOP
    assert group.stopped == []  # Tune ends the whole group
    assert group.trial.group.running_numbers == ()
    group.scheduler.on_trial_complete(None, group.trial, group.trial.last_result or {})


def test_a_trial_that_fails_or_ends_by_itself_leaves_its_group() -> None:
    group = Scheduled()
    results = {
        0: TrialResult(make_record(1, 0.5), 0.5),
        1: TrialResult(error="NonFiniteLossError: nan", done=True),
        2: TrialResult(make_record(1, 0.5), 0.5, done=True),
        3: TrialResult(make_record(1, 0.5), 0.5),
    }
    assert group.report(GroupResult(results).to_tune()) == CONTINUE
    assert group.ended == [("tune-1", {1, 2})]
    assert group.stopped == []  # their process knows it
    assert group.trial.group.running_numbers == (0, 3)


def test_the_next_process_of_a_group_trains_those_that_run() -> None:
    group = Scheduled()
    group.report(epochs({0: 0.5, 1: 0.9, 2: 0.3, 3: 0.8}))
    group.scheduler.on_trial_error(None, group.trial)
    config = GroupConfig.from_tune(group.trial.config)
    assert config.running_numbers == (0, 1, 3)
    assert config.death_epoch == 1


def make_searcher(study: SearchStudy, trials: int, size: int) -> StudySearcher:
    budget = SearchBudget(trials, epochs=9, node_timeout_s=60, group_size=size)
    return StudySearcher(study, Objective(study.metric), budget, lambda _: 2)


def test_groups_share_what_the_gan_depends_on_and_count_as_trials() -> None:
    study = create_study(make_spec())
    searcher = make_searcher(study, trials=5, size=3)
    assert searcher.remaining() == 2
    first = GroupConfig.from_tune(suggested(searcher, "a"))
    second = GroupConfig.from_tune(suggested(searcher, "b"))
    assert [len(first.trials), len(second.trials)] == [3, 2]
    assert (first.leader, second.leader) == (0, 3)
    for group in (first, second):
        assert len({trial.values["loss_weights.cycle"] for trial in group.trials}) == 1
        informations = {trial.values["loss_weights.information"] for trial in group.trials}
        assert len(informations) == len(group.trials)
    assert searcher.remaining() == 0


def suggested(searcher: StudySearcher, trial_id: str) -> dict[str, object]:
    config = searcher.suggest(trial_id)
    assert isinstance(config, dict)
    return config


def test_each_trial_of_a_group_has_its_own_result_in_the_study() -> None:
    study = create_study(make_spec())
    searcher = make_searcher(study, trials=3, size=3)
    searcher.suggest("a")
    searcher.end_trials("a", {1, 2})
    failed = TrialResult(error="NonFiniteLossError: nan", done=True)
    results = {
        0: TrialResult(make_record(1, 0.5), 0.5),
        1: TrialResult(make_record(1, 0.4), 0.4),
        2: failed,
    }
    searcher.on_trial_result("a", GroupResult(results).to_tune())
    states = [trial.state for trial in study.started_trials()]
    assert states == [TrialState.RUNNING, TrialState.PRUNED, TrialState.FAIL]
    last = GroupResult({0: TrialResult(make_record(9, 0.75), 0.75, done=True)}, done=True)
    searcher.on_trial_complete("a", last.to_tune())
    first, stopped, error = study.started_trials()
    assert (first.state, first.curve) == (TrialState.COMPLETE, {1: 0.5, 9: 0.75})
    assert stopped.curve == {1: 0.4}
    assert error.error == "NonFiniteLossError: nan"
    assert searcher.suggest("b") == "FINISHED"


@pytest.mark.parametrize("is_whole_group", [False, True])
def test_failed_trials_end_first_so_that_a_kill_leaves_a_checkpoint_of_all_others(
    is_whole_group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = create_study(make_spec())
    searcher = make_searcher(study, trials=3, size=3)
    searcher.suggest("a")
    results = {
        0: TrialResult(make_record(1, 0.5), 0.5),
        1: TrialResult(make_record(1, 0.4), 0.4),
        2: TrialResult(error="NonFiniteLossError: nan", done=True),
    }
    ended: list[int] = []
    tell_result = study.tell_result

    def note(trial: Trial, **result: Any) -> TrialState:
        ended.append(trial.number)
        return tell_result(trial, **result)

    monkeypatch.setattr(study, "tell_result", note)
    if is_whole_group:
        searcher.on_trial_complete("a", GroupResult(results, done=True).to_tune())
        assert ended == [2, 0, 1]
    else:
        searcher.end_trials("a", {1, 2})
        searcher.on_trial_result("a", GroupResult(results).to_tune())
        assert ended == [2, 1]


def test_a_requeued_group_comes_again_without_the_trials_that_ended() -> None:
    study = create_study(make_spec())
    searcher = make_searcher(study, trials=3, size=3)
    searcher.suggest("a")
    searcher.end_trials("a", {0})
    searcher.on_trial_result("a", epochs({0: 0.1, 1: 0.4, 2: 0.5}))
    searcher.on_trial_complete("a", GroupResult(requeue_reason="no room", done=True).to_tune())
    again = GroupConfig.from_tune(suggested(searcher, "b"))
    assert again.leader == 0
    assert again.running_numbers == (1, 2)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_the_same_trials_survive_as_if_each_were_alone(scheduler: str) -> None:
    """Ray's scheduler, asked about each epoch in the order of the groups, decides alike."""
    spec = make_spec(scheduler=scheduler, trials=24, classifiers_per_gan=4)
    study = simulate(spec, None, curve)
    alone = make_scheduler(spec.search.scheduler, spec.epochs)
    groups = itertools.groupby(study.started_trials(), key=lambda trial: trial.leader)
    for _, members in groups:
        trials = {trial.number: trial for trial in members}
        running = {number: RankedTrial(f"alone-{number}", number) for number in trials}
        for ranked in running.values():
            alone.on_trial_add(None, ranked)
        for epoch in range(1, spec.epochs):
            for number, ranked in list(running.items()):
                result = {EPOCH: epoch, OBJECTIVE: curve(trials[number].values, epoch)}
                if alone.on_trial_result(None, ranked, result) == STOP:
                    assert trials[number].last_epoch == epoch
                    assert trials[number].state == TrialState.PRUNED
                    del running[number]
        assert all(trials[number].state == TrialState.COMPLETE for number in running)
        for number, ranked in running.items():
            result = {EPOCH: 9, OBJECTIVE: curve(trials[number].values, 9)}
            alone.on_trial_complete(None, ranked, result)


@pytest.mark.parametrize("kills", [(1,), (2, 3), (5, 1, 4), (11,)])
@pytest.mark.parametrize("checkpoint_ahead", [False, True])
def test_a_killed_search_with_groups_ends_as_an_undisturbed_one(
    tmp_path: Path, kills: tuple[int, ...], checkpoint_ahead: bool
) -> None:
    spec = make_spec(classifiers_per_gan=3)
    undisturbed = simulate(spec, None, curve)
    journal = tmp_path / "journal"
    for stop_after in kills:
        simulate(
            spec,
            journal,
            curve,
            stop_after=stop_after,
            checkpoint_ahead=checkpoint_ahead,
        )
    resumed = simulate(spec, journal, curve, checkpoint_ahead=checkpoint_ahead)
    assert history(resumed) == history(undisturbed)
    assert [trial.leader for trial in resumed.started_trials()] == [
        trial.leader for trial in undisturbed.started_trials()
    ]


@pytest.mark.parametrize("every", [3, 5])
@pytest.mark.parametrize("scheduler", ["asha", "median"])
@pytest.mark.parametrize(
    "disturb", [FakeTune.requeue, FakeTune.restart_process, FakeTune.replace_workers]
)
def test_disturbed_groups_give_the_same_results(disturb: Any, scheduler: str, every: int) -> None:
    spec = make_spec(scheduler=scheduler, classifiers_per_gan=3)
    undisturbed = simulate(spec, None, curve)
    disturbed = simulate(spec, None, curve, disturb=disturb, every=every)
    assert history(disturbed) == history(undisturbed)
