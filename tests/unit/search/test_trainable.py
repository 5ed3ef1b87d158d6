from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_search import make_record, make_search

from adaptune.errors import (
    CheckpointError,
    NonFiniteLossError,
    TrialCrashedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.base import RunnerSettings, SharedRefs, TrialJob
from adaptune.execution.recovery import MAX_WORKER_GROUPS_PER_TRIAL
from adaptune.results.folder import ResultsFolder
from adaptune.search import trainable as trainable_module
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.search.trainable import TrialContext, TrialTrainable
from adaptune.spec.resources import Execution, WorkerResources
from adaptune.training.identity import TrialInputs
from adaptune.training.record import EpochRecord, HealthReport

Step = EpochRecord | Exception | None
SHARED = SharedRefs(data="data", source_weights="weights")
RESOURCES = WorkerResources(workers=2, cpus_per_worker=3, gpus_per_worker=0.5)
UNHEALTHY = HealthReport(1.0, 1.0, 0.0, 1.0, "", unhealthy="collapse: 0.1")


@dataclass
class FakeRunner:
    """A trial runner that returns or raises the steps it was given."""

    settings: RunnerSettings
    steps: list[Step]
    calls: list[str] = field(default_factory=list)
    stop_error: WorkersLostError | None = None
    close_error: RuntimeError | None = None

    def begin(self, job: TrialJob) -> None:
        self.calls.append(f"begin {job.number}")

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
        if self.close_error is not None:
            raise self.close_error


class FakeGauge:
    def __init__(self, name: str, **_: Any) -> None:
        self.values: list[tuple[float, dict[str, str]]] = []

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.values.append((value, tags))


@dataclass
class Workers:
    """The runners that a trainable opens, one per group of steps."""

    groups: list[list[Step]]
    opened: list[FakeRunner] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)

    def open(self, execution: Execution, settings: RunnerSettings, shared: SharedRefs) -> Any:
        assert shared is SHARED
        runner = FakeRunner(settings, self.groups.pop(0))
        self.executions.append(execution)
        self.opened.append(runner)
        return runner


@dataclass
class Trial:
    trainable: TrialTrainable
    workers: Workers
    gauge: FakeGauge

    def step(self) -> TrialResult:
        return TrialResult.from_tune(self.trainable.step())


class Start:
    """Starts a trainable on fake runners, without Ray."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self,
        *groups: Sequence[Step],
        execution: Execution = "ray_train",
        config: dict[str, Any] | None = None,
        **sections: Any,
    ) -> Trial:
        workers = Workers([list(group) for group in groups])
        runtime = SimpleNamespace(get_actor_id=lambda: "abcdef0123")
        ray = SimpleNamespace(get_runtime_context=lambda: runtime)
        for name, fake in (("open_runner", workers.open), ("Gauge", FakeGauge), ("ray", ray)):
            self._monkeypatch.setattr(trainable_module, name, fake)
        context = TrialContext(
            spec=make_search(**sections),
            folder=ResultsFolder(Path("/results/fake")),
            execution=execution,
            resources=RESOURCES,
            shared=SHARED,
            inputs=TrialInputs(data="data", source_classifier="f_S"),
        )
        trainable = object.__new__(TrialTrainable)  # Tune's constructor needs a Ray actor
        trainable.setup(config or make_config(0), context)
        return Trial(trainable, workers, trainable._gauge)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    return Start(monkeypatch)


def make_config(number: int, **death: Any) -> dict[str, Any]:
    values = {"loss_weights.cycle": 3.0, "loss_weights.identity": 0.5}
    return TrialConfig(number, values, **death).to_tune()


def test_a_step_is_an_epoch_and_the_last_one_ends_the_trial(start: Start) -> None:
    trial = start([make_record(1, 0.5), make_record(2, 0.75)], training={"epochs": 2})
    assert trial.step() == TrialResult(record=make_record(1, 0.5), objective=0.5)
    assert trial.step() == TrialResult(record=make_record(2, 0.75), objective=0.75, done=True)
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0"]


def test_workers_start_with_the_first_step(start: Start) -> None:
    trial = start([make_record(1, 0.5)])
    assert trial.workers.opened == []
    trial.step()
    [runner] = trial.workers.opened
    assert trial.workers.executions == ["ray_train"]
    assert runner.settings.resources is RESOURCES
    assert runner.settings.scratch == "/results/fake/.ray/train"
    assert runner.settings.name.startswith("fake-workers-")
    assert runner.settings.name.endswith("-abcdef-0")


def test_a_trial_that_has_no_more_epochs_ends(start: Start) -> None:
    assert start([None]).step() == TrialResult(done=True)


@pytest.mark.parametrize("metric", ["target_val_accuracy", "infomax"])
def test_the_objective_is_a_metric_of_ray_too(start: Start, metric: str) -> None:
    trial = start([make_record(1, 0.5, validators={"infomax": 0.25})], search={"metric": metric})
    objective = trial.step().objective
    assert objective == {"target_val_accuracy": 0.5, "infomax": 0.25}[metric]
    assert trial.gauge.values == [(objective, {"search": "fake", "trial": "0"})]


@pytest.mark.parametrize(("health", "done"), [("off", False), ("warn", False), ("stop", True)])
def test_an_unhealthy_trial_ends_if_the_search_says_so(
    start: Start, health: str, done: bool
) -> None:
    trial = start([make_record(1, 0.5, health=UNHEALTHY)], search={"health": health})
    assert trial.step().done == done


def test_a_healthy_trial_continues(start: Start) -> None:
    healthy = HealthReport(1.0, 1.0, 0.0, 1.0, "", symptom="collapse: 0.1")
    trial = start([make_record(1, 0.5, health=healthy)], search={"health": "stop"})
    assert not trial.step().done


@pytest.mark.parametrize(
    "error", [NonFiniteLossError("step 7: the cycle term is nan"), CheckpointError("damaged")]
)
def test_a_failed_trial_is_a_result_and_its_workers_train_the_next_one(
    start: Start, error: Exception
) -> None:
    trial = start([error, make_record(1, 0.5)])
    assert trial.step() == TrialResult(error=f"{type(error).__name__}: {error}", done=True)
    assert trial.trainable.reset_config(make_config(1))
    assert trial.step().record == make_record(1, 0.5)
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0", "stop", "begin 1"]


CRASH = TrialCrashedError("OutOfMemoryError: CUDA out of memory")


def test_a_crash_ends_the_trial_at_once_and_the_next_one_has_new_workers(start: Start) -> None:
    trial = start([CRASH], [make_record(1, 0.5)])
    assert trial.step() == TrialResult(error=str(CRASH), done=True)
    trial.trainable.reset_config(make_config(1))
    assert trial.step().record == make_record(1, 0.5)
    assert [runner.calls for runner in trial.workers.opened] == [["begin 0", "close"], ["begin 1"]]


def test_a_process_that_crashed_itself_trains_no_other_trial(start: Start) -> None:
    trial = start([CRASH], [make_record(1, 0.5)], execution="in_process")
    assert trial.step() == TrialResult(error=str(CRASH), done=True)
    assert trial.trainable.reset_config(make_config(1))
    with pytest.raises(RuntimeError, match="unfit for another trial"):
        trial.step()  # Tune starts another process for trial 1
    assert len(trial.workers.opened) == 1


def test_a_runner_that_cannot_be_closed_fails_no_trial(start: Start) -> None:
    trial = start([make_record(1, 0.5)], resources={"reuse_workers": False})
    trial.step()
    trial.workers.opened[0].close_error = RuntimeError("the workers did not end within 30 s")
    assert trial.trainable.reset_config(make_config(1))
    with pytest.raises(RuntimeError, match="did not end within 30 s"):
        trial.step()  # Tune starts another process for trial 1


@pytest.mark.parametrize(
    ("death", "death_epoch", "ends"),
    [
        ("RuntimeError: cuDNN failed", 1, True),
        ("RuntimeError: cuDNN failed", 0, False),  # this process has trained an epoch more
        ("RuntimeError: another", 1, False),
        ("", 0, False),
    ],
)
def test_a_second_death_of_the_same_cause_at_the_same_epoch_ends_the_trial(
    start: Start, death: str, death_epoch: int, ends: bool
) -> None:
    steps: list[Step] = [make_record(1, 0.5), RuntimeError("cuDNN failed")]
    trial = start(steps, config=make_config(0, death=death, death_epoch=death_epoch))
    trial.step()
    if ends:
        assert trial.step() == TrialResult(error=death, done=True)
    else:
        with pytest.raises(RuntimeError, match="cuDNN failed"):
            trial.step()


def test_an_unexpected_error_is_raised(start: Start) -> None:
    with pytest.raises(KeyError):
        start([KeyError("a bug")]).step()


def test_after_a_loss_new_workers_continue_the_trial(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    trial = start([make_record(1, 0.5), WorkersLostError("node lost")], [make_record(2, 0.75)])
    trial.step()
    assert trial.step().record == make_record(2, 0.75)
    lost, new = trial.workers.opened
    assert lost.calls == ["begin 0", "close"]
    assert new.calls == ["begin 0"]
    assert new.settings.name.endswith("-1")
    assert "trial 0 lost its workers: node lost" in caplog.text


def test_a_trial_that_loses_too_many_worker_groups_fails(start: Start) -> None:
    losses: list[list[Step]] = []
    for number in range(MAX_WORKER_GROUPS_PER_TRIAL):
        losses.append([WorkersLostError(f"loss {number}")])
    trial = start(*losses, [make_record(1, 0.5)])
    assert trial.step() == TrialResult(error="WorkersLostError: loss 2", done=True)
    assert [runner.calls for runner in trial.workers.opened] == [["begin 0", "close"]] * 3
    trial.trainable.reset_config(make_config(1))  # the losses of the next trial are counted from 0
    assert trial.step().record == make_record(1, 0.5)


def test_workers_that_do_not_start_requeue_the_trial(start: Start) -> None:
    trial = start([WorkersNotStartedError("no room")], [make_record(1, 0.5)])
    assert trial.step() == TrialResult(requeue_reason="no room", done=True)
    assert trial.workers.opened[0].calls == ["begin 0", "close"]
    trial.trainable.reset_config(make_config(1))
    trial.step()
    assert trial.workers.opened[1].calls == ["begin 1"]


def test_an_actor_that_ends_shuts_its_workers_down(start: Start) -> None:
    trial = start([make_record(1, 0.5)])
    trial.trainable.cleanup()  # no workers have started
    trial.step()
    [runner] = trial.workers.opened
    runner.stop_error = WorkersLostError("node lost")
    trial.trainable.cleanup()
    assert runner.calls == ["begin 0", "stop", "close"]
