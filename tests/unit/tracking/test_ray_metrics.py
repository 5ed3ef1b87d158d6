from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_search import make_record
from support.tracked_search import EPOCHS, TRIALS, make_tracked, make_tracked_run, train

from adaptune.evaluation.costs import search_costs
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig
from adaptune.tracking import ray_metrics
from adaptune.tracking.ray_metrics import INTERVAL_S, RayMetricsCallback

Tags = tuple[tuple[str, str], ...]


class FakeMetric:
    """A gauge or a counter, by its values."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.keys = set(tag_keys)
        self.values: dict[Tags, float] = {}
        self.writes = 0

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert tags.keys() == self.keys
        assert tags.pop("search") == "fake"
        self.values[tuple(tags.items())] = value
        self.writes += 1

    def inc(self, tags: dict[str, str]) -> None:
        self.set(self.values.get((), 0) + 1, tags)


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeMetric]:
    """The metrics by name."""
    metrics: dict[str, FakeMetric] = {}

    def make(name: str, **options: Any) -> FakeMetric:
        return metrics.setdefault(name, FakeMetric(name, **options))

    monkeypatch.setattr(ray_metrics, "Gauge", make)
    monkeypatch.setattr(ray_metrics, "Counter", make)
    return metrics


@pytest.fixture
def run(tmp_path: Path) -> SearchRun:
    return make_tracked_run(make_tracked(tmp_path), tmp_path / "s")


def test_the_metrics_are_those_of_the_study(run: SearchRun, metrics: dict[str, FakeMetric]) -> None:
    callback = RayMetricsCallback(run)
    train(run, callback, stop_after=4)
    callback.update()
    states = metrics["adaptune_trials"].values
    assert states[("state", "complete"),] == 1
    assert states[("state", "running"),] == 1
    assert states[("state", "queued"),] == TRIALS - 2
    assert metrics["adaptune_device_seconds"].values[("fate", "running"),] > 0
    train(run, callback)
    callback.on_experiment_end([])
    assert states[("state", "complete"),] == TRIALS
    assert {states[("state", state),] for state in ("running", "queued", "failed")} == {0}
    best = run.study.best_trial()
    assert best is not None
    assert metrics["adaptune_best_objective"].values == {(): best.best_value}
    assert metrics["adaptune_unhealthy_trials"].values == {(): 0}
    workers = run.plan.resources.workers
    costs = search_costs(run.study, epochs=EPOCHS, workers=workers)
    assert metrics["adaptune_device_seconds"].values == {
        (("fate", "running"),): 0,
        (("fate", "useful"),): costs.complete,
        (("fate", "pruned"),): 0,
        (("fate", "failed"),): 0,
        (("fate", "overhead"),): costs.overhead,
    }


def test_epochs_are_counted_and_trials_have_the_objective_of_their_last_epoch(
    run: SearchRun, metrics: dict[str, FakeMetric]
) -> None:
    callback = RayMetricsCallback(run)
    for number, epoch, accuracy in ((0, 1, 0.5), (1, 1, 0.25), (0, 2, 0.75)):
        callback.on_epoch(TrialConfig(number, {}), make_record(epoch, accuracy))
    assert metrics["adaptune_epochs"].values == {(): 3}
    assert metrics["adaptune_objective"].values == {
        (("trial", "0"),): 0.75,
        (("trial", "1"),): 0.25,
    }


def test_the_study_is_read_every_few_seconds(
    run: SearchRun, metrics: dict[str, FakeMetric]
) -> None:
    now = 0.0
    callback = RayMetricsCallback(run, clock=lambda: now)
    for _ in range(3):
        callback.on_step([])
    assert metrics["adaptune_unhealthy_trials"].writes == 1
    now = INTERVAL_S
    callback.on_step([])
    assert metrics["adaptune_unhealthy_trials"].writes == 2
