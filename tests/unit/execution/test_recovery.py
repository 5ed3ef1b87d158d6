from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from support.scripted_runner import ScriptedRunner, Step
from support.tiny_trial import make_record

from adaptune.errors import (
    NonFiniteLossError,
    PreemptedError,
    TrialCrashedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.recovery import MAX_WORKER_GROUPS_PER_JOB, RecoveringRunner
from adaptune.execution.runtime import GroupJob
from adaptune.training.loop import Outcome

RECORDS = [make_record(epoch, 0.5) for epoch in (1, 2)]
FIRST: dict[int, Outcome] = {3: RECORDS[0]}
SECOND: dict[int, Outcome] = {3: RECORDS[1]}
NON_FINITE = NonFiniteLossError("step 3")


def same_loss() -> WorkersLostError:
    return WorkersLostError("RuntimeError: cuDNN failed", is_from_code=True)


@dataclass
class Groups:
    """The worker groups of a runner."""

    steps: Sequence[Sequence[Step]]
    opened: list[ScriptedRunner] = field(default_factory=list)

    def open(self, index: int) -> ScriptedRunner:
        assert index == len(self.opened)
        self.opened.append(ScriptedRunner(list(self.steps[index])))
        return self.opened[-1]


Start = Callable[..., tuple[RecoveringRunner, Groups]]


def starter_of(job: GroupJob) -> Start:
    def start_runner(
        *steps: Sequence[Step], reuse_workers: bool = True
    ) -> tuple[RecoveringRunner, Groups]:
        groups = Groups(steps)
        runner = RecoveringRunner(groups.open, reuse_workers=reuse_workers)
        runner.begin(job)
        return runner, groups

    return start_runner


@pytest.fixture
def start(job: GroupJob) -> Start:
    return starter_of(job)


@pytest.fixture
def start_group(group: GroupJob) -> Start:
    return starter_of(group)


def test_workers_start_with_the_first_epoch_of_a_trial(start: Start) -> None:
    runner, groups = start([FIRST, None])
    runner.end_job()
    assert groups.opened == []
    assert [runner.next_outcomes(), runner.next_outcomes()] == [FIRST, None]
    assert groups.opened[0].calls == ["begin 3"]


def test_a_second_death_of_the_same_cause_without_a_new_epoch_is_final(start: Start) -> None:
    runner, groups = start([FIRST, same_loss()], [FIRST, same_loss()], [FIRST])
    assert [runner.next_outcomes(), runner.next_outcomes()] == [FIRST, FIRST]
    with pytest.raises(WorkersLostError, match="cuDNN failed"):
        runner.next_outcomes()
    assert [group.calls for group in groups.opened] == [["begin 3", "close"]] * 2


def test_a_second_death_after_a_new_epoch_is_not_final(start: Start) -> None:
    runner, _ = start([FIRST, same_loss()], [FIRST, SECOND, same_loss()], [SECOND])
    records = [runner.next_outcomes() for _ in range(4)]
    assert records == [FIRST, FIRST, SECOND, SECOND]


def test_a_second_death_of_another_cause_is_not_final(start: Start) -> None:
    other = WorkersLostError("RuntimeError: closed by peer", is_from_code=True)
    runner, _ = start([same_loss()], [other], [FIRST])
    assert runner.next_outcomes() == FIRST


def test_workers_that_die_without_a_word_twice_may_be_bad_luck(start: Start) -> None:
    lost: list[list[Step]] = [[WorkersLostError("the actor died")]]
    runner, groups = start(*lost * 2, [FIRST])
    assert runner.next_outcomes() == FIRST
    runner, groups = start(*lost * MAX_WORKER_GROUPS_PER_JOB, [FIRST])
    with pytest.raises(WorkersLostError):
        runner.next_outcomes()
    assert len(groups.opened) == MAX_WORKER_GROUPS_PER_JOB


def test_losses_that_were_announced_are_not_counted(start: Start) -> None:
    runner, _ = start(*[[PreemptedError("preempted")]] * 5, [FIRST])
    assert runner.next_outcomes() == FIRST


def test_workers_that_do_not_start_are_closed_and_reported(start: Start) -> None:
    runner, groups = start([WorkersNotStartedError("no room")], [FIRST])
    with pytest.raises(WorkersNotStartedError):
        runner.next_outcomes()
    assert groups.opened[0].calls == ["begin 3", "close"]
    assert runner.next_outcomes() == FIRST


def test_a_crash_is_passed_on_and_its_workers_can_be_dropped(start: Start, job: GroupJob) -> None:
    runner, groups = start([TrialCrashedError("ValueError: bad")], [FIRST])
    with pytest.raises(TrialCrashedError):
        runner.next_outcomes()
    runner.drop("ValueError: bad")
    runner.end_job()
    runner.begin(job)
    assert runner.next_outcomes() == FIRST
    assert [group.calls for group in groups.opened] == [["begin 3", "close"], ["begin 3"]]


def test_workers_that_do_not_stop_are_closed(start: Start, job: GroupJob) -> None:
    runner, groups = start([FIRST], [SECOND])
    runner.next_outcomes()
    groups.opened[0].stop_error = WorkersLostError("they do not answer")
    runner.end_job()
    runner.begin(job)
    assert runner.next_outcomes() == SECOND
    assert groups.opened[0].calls == ["begin 3", "stop", "close"]


@pytest.mark.parametrize(
    ("reuse_workers", "calls"),
    [(True, ["begin 3", "stop", "begin 3"]), (False, ["begin 3", "stop", "close"])],
)
def test_workers_train_the_next_trial_unless_they_are_new_for_each(
    start: Start, job: GroupJob, reuse_workers: bool, calls: list[str]
) -> None:
    runner, groups = start([FIRST, SECOND], [SECOND], reuse_workers=reuse_workers)
    runner.next_outcomes()
    runner.end_job()
    runner.begin(job)
    assert runner.next_outcomes() == SECOND
    assert groups.opened[0].calls == calls


def test_the_workers_are_told_which_trials_stop(start_group: Start) -> None:
    epoch = dict.fromkeys((3, 5, 6), RECORDS[0])
    runner, groups = start_group([epoch, {3: RECORDS[1]}])
    runner.next_outcomes()
    runner.next_outcomes({5, 6})
    assert groups.opened[0].stopped == [set(), {5, 6}]


def test_new_workers_do_not_train_the_trials_that_were_stopped_or_failed(
    start_group: Start,
) -> None:
    epoch = {3: RECORDS[0], 5: NON_FINITE, 6: RECORDS[0]}
    runner, groups = start_group([epoch, same_loss()], [{6: RECORDS[0]}])
    assert runner.next_outcomes() == epoch
    assert runner.next_outcomes({3}) == {6: RECORDS[0]}
    calls = [workers.calls for workers in groups.opened]
    assert calls == [["begin 3, 5, 6", "close"], ["begin 6"]]


def test_a_group_without_trials_has_no_more_epochs_and_needs_no_workers(
    start_group: Start, job: GroupJob
) -> None:
    epoch = {3: RECORDS[0], 5: NON_FINITE, 6: NON_FINITE}
    runner, groups = start_group([epoch], [FIRST])
    runner.next_outcomes()
    runner.drop("their node was lost")
    assert runner.next_outcomes({3}) is None
    runner.end_job()
    assert len(groups.opened) == 1
    runner.begin(job)
    assert runner.next_outcomes() == FIRST


def test_the_workers_of_a_group_without_trials_are_stopped_for_the_next_group(
    start_group: Start, job: GroupJob
) -> None:
    runner, groups = start_group([dict.fromkeys((3, 5, 6), NON_FINITE), FIRST])
    runner.next_outcomes()
    assert runner.next_outcomes() is None
    runner.end_job()
    runner.begin(job)
    assert runner.next_outcomes() == FIRST
    assert groups.opened[0].calls == ["begin 3, 5, 6", "stop", "begin 3"]
