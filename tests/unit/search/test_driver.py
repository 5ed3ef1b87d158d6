from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ray import tune
from rich.console import Console
from support.fake_search import (
    NODE_TIMEOUT_S,
    FakeTrial,
    make_result,
    make_search,
    simulate,
    smooth,
)

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResultsError
from adaptune.execution.base import SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.search import driver
from adaptune.search.driver import DRIVER_BUNDLE, SearchRun, run_trials
from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.search.trainable import TrialTrainable
from adaptune.spec.resources import WorkerResources
from adaptune.study.storage import open_study
from adaptune.study.wall_clock import WallClock
from adaptune.training.identity import TrialInputs

RESOURCES = WorkerResources(workers=2, cpus_per_worker=3, gpus_per_worker=0.5)
PLAN = PlacementPlan("ray_train", RESOURCES, 1, 1, task_cpus=2)


class FakeCapacity:
    node_timeout_s = NODE_TIMEOUT_S

    def __call__(self, unfinished: int) -> int:
        return 1


def make_run(tmp_path: Path, plan: PlacementPlan = PLAN, **sections: Any) -> SearchRun:
    spec = make_search(**{"search": {"trials": 2}, "training": {"epochs": 2}} | sections)
    folder = ResultsFolder(tmp_path / "fake")
    folder.path.mkdir(exist_ok=True)
    study = open_study(spec, folder.journal)
    unused: Any = None
    capacity: Any = FakeCapacity()
    return SearchRun(
        spec=spec,
        splits=unused,
        plan=plan,
        folder=folder,
        console=Console(file=io.StringIO(), width=200),
        study=study,
        clock=WallClock(study, 0.0),
        tasks=unused,
        capacity=capacity,
        source_weights={},
        source_classifier_s=0.0,
        shared=SharedRefs(data="data", source_weights="weights"),
        inputs=TrialInputs(data="data", source_classifier="weights"),
    )


@dataclass
class FakeTuner:
    """Tune's loop with one trial at a time, whose epochs follow `smooth`."""

    trainable: Any
    tune_config: tune.TuneConfig
    run_config: tune.RunConfig
    directories: list[str] = field(default_factory=list)

    def fit(self) -> None:
        searcher: Any = self.tune_config.search_alg
        for number in itertools.count():
            config = searcher.suggest(f"tune-{number}")
            if not isinstance(config, dict):
                break
            self._train(FakeTrial(f"tune-{number}", config))

    def _train(self, trial: FakeTrial) -> None:
        searcher: Any = self.tune_config.search_alg
        scheduler: Any = self.tune_config.scheduler
        name_of: Any = self.tune_config.trial_dirname_creator
        self.directories.append(name_of(trial))
        scheduler.on_trial_add(None, trial)
        searcher.on_trial_result(trial.trial_id, self._result(trial, 1))
        scheduler.on_trial_complete(None, trial, self._result(trial, 2))
        searcher.on_trial_complete(trial.trial_id, trial.last_result)
        for callback in self.run_config.callbacks or []:
            callback.on_trial_complete(1, [trial], trial)

    def _result(self, trial: FakeTrial, epoch: int) -> dict[str, Any]:
        [config] = trial.group.trials
        accuracy = smooth(config.values, epoch)
        result = make_result(epoch, accuracy, number=config.number, done=epoch == 2)
        trial.last_result = result
        for callback in self.run_config.callbacks or []:
            callback.on_trial_result(1, [trial], trial, result)
        return result


@pytest.fixture
def tuners(monkeypatch: pytest.MonkeyPatch) -> list[FakeTuner]:
    """The tuners that were made."""
    made: list[FakeTuner] = []

    def make_tuner(*arguments: Any, **options: Any) -> FakeTuner:
        made.append(FakeTuner(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tune, "Tuner", make_tuner)
    return made


def test_the_trials_are_run_and_the_tables_written(tmp_path: Path, tuners: list[FakeTuner]) -> None:
    run = make_run(tmp_path)
    run_trials(run)
    [tuner] = tuners
    assert tuner.directories == ["trial-0", "trial-1"]
    assert isinstance(tuner.tune_config.search_alg, StudySearcher)
    assert isinstance(tuner.tune_config.scheduler, StudyScheduler)
    rows = pq.read_table(run.folder.trials_table).to_pylist()
    assert [(row["number"], row["state"], row["workers"]) for row in rows] == [
        (0, "COMPLETE", 2),
        (1, "COMPLETE", 2),
    ]
    assert pq.read_table(run.folder.epochs_table).num_rows == 4


def test_all_callbacks_see_each_epoch(tmp_path: Path, tuners: list[FakeTuner]) -> None:
    run = make_run(tmp_path)
    run_trials(run)
    callbacks = [type(callback).__name__ for callback in tuners[0].run_config.callbacks or []]
    assert callbacks == [
        "WallClockCallback",
        "TensorBoardCallback",
        "CheckpointRetentionCallback",
        "ConsoleCallback",
        "TablesCallback",
        "RemoteCopyCallback",
        "WatchdogCallback",
        "ShortageCallback",
        "StopSignalCallback",
        "DriverLeaseCallback",
    ]
    text: Any = run.console.file
    lines = text.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["0/2", "0/2", "1/2", "1/2"]
    [events] = run.folder.trial(1).iterdir()
    assert events.name.startswith("events")


def test_a_finished_search_starts_no_tuner_and_writes_its_tables_again(
    tmp_path: Path, tuners: list[FakeTuner]
) -> None:
    run = make_run(tmp_path)
    simulate(run.spec, run.folder.journal, smooth)
    run = replace(run, study=open_study(run.spec, run.folder.journal))
    run_trials(run)
    assert tuners == []
    assert pq.read_table(run.folder.trials_table).num_rows == 2


def test_a_warm_start_that_cannot_be_read_ends_the_search_before_any_trial(
    tmp_path: Path, tuners: list[FakeTuner]
) -> None:
    run = make_run(tmp_path, search={"trials": 2, "warm_start": [str(tmp_path / "nothing")]})
    with pytest.raises(ResultsError, match="holds no search"):
        run_trials(run)
    assert tuners == []


def test_nothing_of_tune_is_saved_for_a_restore(tmp_path: Path, tuners: list[FakeTuner]) -> None:
    run = make_run(tmp_path)
    run_trials(run)
    config = tuners[0].run_config
    assert config.storage_path == run.folder.scratch()
    assert config.checkpoint_config.checkpoint_at_end is False
    assert config.failure_config.max_failures == driver.MAX_ACTOR_RESTARTS
    assert tuners[0].tune_config.num_samples == -1


def placement_of(tmp_path: Path, tuners: list[FakeTuner], plan: PlacementPlan) -> Any:
    run_trials(make_run(tmp_path, plan))
    trainable = tuners[0].trainable
    assert issubclass(trainable, TrialTrainable)
    assert trainable.__qualname__ == "TrialTrainable"  # its name on the dashboard
    return trainable.default_resource_request({})


def test_a_process_that_directs_ray_train_workers_needs_a_place_on_the_drivers_node(
    tmp_path: Path, tuners: list[FakeTuner]
) -> None:
    placement = placement_of(tmp_path, tuners, PLAN)
    assert placement == tune.PlacementGroupFactory([DRIVER_BUNDLE], bundle_label_selector=None)


@pytest.mark.parametrize("labels", [None, {"market": "spot"}])
def test_a_process_that_trains_itself_has_the_resources_of_a_worker(
    tmp_path: Path, tuners: list[FakeTuner], labels: dict[str, str] | None
) -> None:
    resources = replace(RESOURCES, workers=1, label_selector=labels)
    plan = PlacementPlan("in_process", resources, 1, 1, task_cpus=2)
    placement = placement_of(tmp_path, tuners, plan)
    selector = [labels] if labels else None
    assert placement == tune.PlacementGroupFactory(
        [{"CPU": 3.0, "GPU": 0.5}], bundle_label_selector=selector
    )
