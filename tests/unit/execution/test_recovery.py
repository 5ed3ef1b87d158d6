from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from support.fake_search import make_record

from adaptune.errors import (
    AdaptuneError,
    PreemptedError,
    TrialCrashedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.recovery import MAX_WORKER_GROUPS_PER_TRIAL, RecoveringRunner
from adaptune.execution.runtime import TrialJob
from adaptune.training.record import EpochRecord

Step = EpochRecord | AdaptuneError | None
FIRST, SECOND = make_record(1, 0.5), make_record(2, 0.5)


def same_loss() -> WorkersLostError:
    return WorkersLostError("RuntimeError: cuDNN failed", is_from_code=True)


@dataclass
class Group:
    """A worker group that returns or raises the steps it was given."""

    steps: list[Step]
    calls: list[str] = field(default_factory=list)
    stop_error: WorkersLostError | None = None

    def begin(self, job: TrialJob) -> None:
        self.calls.append("begin")

    def next_record(self) -> EpochRecord | None:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def stop(self) -> None:
        self.calls.append("stop")
        if self.stop_error is not None:
            raise self.stop_error

    def close(self) -> None:
        self.calls.append("close")


@dataclass
class Groups:
    """The worker groups of a runner."""

    steps: Sequence[Sequence[Step]]
    opened: list[Group] = field(default_factory=list)

    def open(self, index: int) -> Group:
        assert index == len(self.opened)
        self.opened.append(Group(list(self.steps[index])))
        return self.opened[-1]


Start = Callable[..., tuple[RecoveringRunner, Groups]]


@pytest.fixture
def start(job: TrialJob) -> Start:
    def start_runner(
        *steps: Sequence[Step], reuse_workers: bool = True
    ) -> tuple[RecoveringRunner, Groups]:
        groups = Groups(steps)
        runner = RecoveringRunner(groups.open, reuse_workers=reuse_workers)
        runner.begin(job)
        return runner, groups

    return start_runner


def test_workers_start_with_the_first_epoch_of_a_trial(start: Start) -> None:
    runner, groups = start([FIRST, None])
    runner.end_trial()
    assert groups.opened == []
    assert [runner.next_record(), runner.next_record()] == [FIRST, None]
    assert groups.opened[0].calls == ["begin"]


def test_a_second_death_of_the_same_cause_without_a_new_epoch_is_final(start: Start) -> None:
    runner, groups = start([FIRST, same_loss()], [FIRST, same_loss()], [FIRST])
    assert [runner.next_record(), runner.next_record()] == [FIRST, FIRST]
    with pytest.raises(WorkersLostError, match="cuDNN failed"):
        runner.next_record()
    assert [group.calls for group in groups.opened] == [["begin", "close"]] * 2


def test_a_second_death_after_a_new_epoch_is_not_final(start: Start) -> None:
    runner, _ = start([FIRST, same_loss()], [FIRST, SECOND, same_loss()], [SECOND])
    records = [runner.next_record() for _ in range(4)]
    assert records == [FIRST, FIRST, SECOND, SECOND]


def test_a_second_death_of_another_cause_is_not_final(start: Start) -> None:
    other = WorkersLostError("RuntimeError: closed by peer", is_from_code=True)
    runner, _ = start([same_loss()], [other], [FIRST])
    assert runner.next_record() == FIRST


def test_workers_that_die_without_a_word_twice_may_be_bad_luck(start: Start) -> None:
    lost: list[list[Step]] = [[WorkersLostError("the actor died")]]
    runner, groups = start(*lost * 2, [FIRST])
    assert runner.next_record() == FIRST
    runner, groups = start(*lost * MAX_WORKER_GROUPS_PER_TRIAL, [FIRST])
    with pytest.raises(WorkersLostError):
        runner.next_record()
    assert len(groups.opened) == MAX_WORKER_GROUPS_PER_TRIAL


def test_losses_that_were_announced_are_not_counted(start: Start) -> None:
    runner, _ = start(*[[PreemptedError("preempted")]] * 5, [FIRST])
    assert runner.next_record() == FIRST


def test_workers_that_do_not_start_are_closed_and_reported(start: Start) -> None:
    runner, groups = start([WorkersNotStartedError("no room")], [FIRST])
    with pytest.raises(WorkersNotStartedError):
        runner.next_record()
    assert groups.opened[0].calls == ["begin", "close"]
    assert runner.next_record() == FIRST


def test_a_crash_is_passed_on_and_its_workers_can_be_dropped(start: Start, job: TrialJob) -> None:
    runner, groups = start([TrialCrashedError("ValueError: bad")], [FIRST])
    with pytest.raises(TrialCrashedError):
        runner.next_record()
    runner.drop("ValueError: bad")
    runner.end_trial()
    runner.begin(job)
    assert runner.next_record() == FIRST
    assert [group.calls for group in groups.opened] == [["begin", "close"], ["begin"]]


def test_workers_that_do_not_stop_are_closed(start: Start, job: TrialJob) -> None:
    runner, groups = start([FIRST], [SECOND])
    runner.next_record()
    groups.opened[0].stop_error = WorkersLostError("they do not answer")
    runner.end_trial()
    runner.begin(job)
    assert runner.next_record() == SECOND
    assert groups.opened[0].calls == ["begin", "stop", "close"]


@pytest.mark.parametrize(
    ("reuse_workers", "calls"),
    [(True, ["begin", "stop", "begin"]), (False, ["begin", "stop", "close"])],
)
def test_workers_train_the_next_trial_unless_they_are_new_for_each(
    start: Start, job: TrialJob, reuse_workers: bool, calls: list[str]
) -> None:
    runner, groups = start([FIRST, SECOND], [SECOND], reuse_workers=reuse_workers)
    runner.next_record()
    runner.end_trial()
    runner.begin(job)
    assert runner.next_record() == SECOND
    assert groups.opened[0].calls == calls
