from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_search import make_search

from adaptune.data.splits import TrialData
from adaptune.errors import NodesLostError
from adaptune.search.source_classifier import source_classifier
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.state import StateDict

CLASSES = 3


@dataclass
class FakeTasks:
    """Runs a task in this process when its result is fetched, or returns `result`."""

    data: TrialData
    result: StateDict | None = None
    error: Exception | None = None
    cpus_per_task: int = 2
    submitted: list[tuple[str, int]] = field(default_factory=list)

    def submit(
        self, name: str, function: Callable[..., Any], *arguments: Any, cpus: int
    ) -> Callable[[], Any]:
        self.submitted.append((name, cpus))
        spec, data_ref, threads = arguments
        assert data_ref == "data"
        return lambda: function(spec, self.data, threads)

    def results(self, tasks: Any) -> list[Any]:
        if self.error is not None:
            raise self.error
        if self.result is not None:
            return [self.result]
        threads = torch.get_num_threads()
        try:
            return [task() for task in tasks]
        finally:
            torch.set_num_threads(threads)


def make_data(seed: int = 0) -> TrialData:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (12, 1, 32, 32), dtype=np.uint8)
    labels = np.arange(12) % CLASSES
    return TrialData(images, labels, images, labels, images, images, labels, ("a", "b", "c"))


def make_spec(**training: Any) -> TrialSpec:
    source = {"steps": 2, "batch_size": 4}
    return make_search(training={"source": source} | training).trial({}, seed=0)


def classifier(spec: TrialSpec, tasks: FakeTasks, cache: Path) -> StateDict:
    cluster_tasks: Any = tasks
    return source_classifier(spec, tasks.data, "data", cluster_tasks, cache)


def test_it_is_trained_in_a_task_and_read_from_the_cache_after_that(tmp_path: Path) -> None:
    cache = tmp_path / ".cache"
    tasks = FakeTasks(make_data())
    trained = classifier(make_spec(), tasks, cache)
    assert tasks.submitted == [("source classifier", 2)]
    [file] = cache.iterdir()
    assert file.name.startswith("source-")
    assert file.suffix == ".safetensors"
    tasks = FakeTasks(make_data())
    cached = classifier(make_spec(), tasks, cache)
    assert tasks.submitted == []
    assert equal(cached, trained)


def test_the_weights_are_those_of_the_classifier_of_the_spec(tmp_path: Path) -> None:
    spec = make_spec()
    weights = classifier(spec, FakeTasks(make_data()), tmp_path)
    build_classifier(spec.model.classifier, spec.data.source, CLASSES).load_state_dict(weights)


@pytest.mark.parametrize(
    "changed",
    [
        make_spec(source={"steps": 3, "batch_size": 4}),
        make_spec(augment={"shift": 0.1}),
        make_spec(lr_decay_from=0.25),
        make_search(model={"classifier": {"dropout": 0.25}}).trial({}, seed=0),
        make_spec().model_copy(update={"seed": 1}),
    ],
)
def test_it_is_trained_again_for_each_setting_that_changes_it(
    tmp_path: Path, changed: TrialSpec
) -> None:
    assert cache_names(tmp_path, changed) != cache_names(tmp_path, make_spec())


@pytest.mark.parametrize(
    "changed",
    [make_spec(epochs=3), make_spec(batch_size=4), make_spec(pool_size=7)],
)
def test_settings_of_the_trials_do_not_change_it(tmp_path: Path, changed: TrialSpec) -> None:
    assert cache_names(tmp_path, changed) == cache_names(tmp_path, make_spec())


def test_it_depends_on_the_labelled_source_only(tmp_path: Path) -> None:
    data = make_data()
    expected = cache_names(tmp_path, make_spec(), data)
    other = make_data(seed=1)
    target = replace(data, target_train_images=other.target_train_images)
    assert cache_names(tmp_path, make_spec(), target) == expected
    images = replace(data, source_train_images=other.source_train_images)
    assert cache_names(tmp_path, make_spec(), images) != expected
    labels = replace(data, source_train_labels=np.roll(data.source_train_labels, 1))
    assert cache_names(tmp_path, make_spec(), labels) != expected


def test_a_task_that_finds_no_node_leaves_no_file(tmp_path: Path) -> None:
    tasks = FakeTasks(make_data(), error=NodesLostError("no node had room"))
    with pytest.raises(NodesLostError):
        classifier(make_spec(), tasks, tmp_path)
    assert not any(tmp_path.iterdir())


def cache_names(folder: Path, spec: TrialSpec, data: TrialData | None = None) -> list[str]:
    """The files of a new cache, without any training."""
    tasks = FakeTasks(data or make_data(), result={"weight": torch.zeros(1)})
    cache = folder / f"cache-{len(list(folder.iterdir()))}"
    classifier(spec, tasks, cache)
    return [file.name for file in cache.iterdir()]


def equal(first: StateDict, second: StateDict) -> bool:
    if first.keys() != second.keys():
        return False
    return all(torch.equal(first[name], second[name]) for name in first)
