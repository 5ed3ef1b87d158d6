from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.fake_search import make_search

from adaptune.cluster import source_classifier as module
from adaptune.cluster.source_classifier import is_trained, source_classifier
from adaptune.data.image_set import in_memory
from adaptune.data.splits import TrialData
from adaptune.errors import NodesLostError
from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.state import StateDict
from adaptune.training.weights_file import write_weights

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
    images = in_memory(random.integers(0, 256, (12, 1, 32, 32), dtype=np.uint8))
    labels = np.arange(12) % CLASSES
    return TrialData(images, labels, images, labels, images, images, labels, ("a", "b", "c"))


def make_spec(**training: Any) -> TrialSpec:
    source = {"steps": 2, "batch_size": 4}
    return make_search(training={"source": source} | training).trial({}, seed=0)


def classifier(spec: TrialSpec, tasks: FakeTasks, folder: Path) -> StateDict:
    cluster_tasks: Any = tasks
    results = ResultsFolder(folder)
    return source_classifier(
        spec,
        tasks.data,
        "data",
        cluster_tasks,
        file=results.source_classifier,
        cache=results.source_classifiers,
    )


def cache_of(folder: Path) -> list[Path]:
    return sorted((folder.parent / ".cache").iterdir())


def test_it_is_trained_in_a_task_and_shared_by_searches_after_that(tmp_path: Path) -> None:
    tasks = FakeTasks(make_data())
    trained = classifier(make_spec(), tasks, tmp_path / "first")
    assert tasks.submitted == [("source classifier", 2)]
    [file] = cache_of(tmp_path / "first")
    assert file.name.startswith("source-")
    assert file.suffix == ".safetensors"
    tasks = FakeTasks(make_data())
    cached = classifier(make_spec(), tasks, tmp_path / "second")
    assert tasks.submitted == []
    assert equal(cached, trained)


def test_a_resume_uses_the_weights_of_the_search_even_if_others_would_be_trained_now(
    tmp_path: Path,
) -> None:
    trained = classifier(make_spec(), FakeTasks(make_data()), tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "elsewhere" / "first")
    tasks = FakeTasks(make_data(seed=1))  # another decoder of the images
    assert equal(classifier(make_spec(), tasks, tmp_path / "elsewhere" / "first"), trained)
    assert tasks.submitted == []


@pytest.mark.parametrize("body", [b"", b"half", None])
@pytest.mark.parametrize("place", ["search", "cache", "both"])
def test_damaged_weights_are_replaced(
    place: str, body: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ResultsFolder(tmp_path / "first")
    trained = classifier(make_spec(), FakeTasks(make_data()), folder.path)
    [cached] = cache_of(folder.path)
    damaged = {
        "search": [folder.source_classifier],
        "cache": [cached],
        "both": [folder.source_classifier, cached],
    }
    for file in damaged[place]:
        file.write_bytes(file.read_bytes()[:-8] if body is None else body)
    if place == "cache":
        folder.source_classifier.unlink()
    tasks = FakeTasks(make_data())
    assert equal(classifier(make_spec(), tasks, folder.path), trained)
    assert len(tasks.submitted) == (place != "search")
    assert caplog.text.count("cannot be read") == len(damaged[place])
    assert equal(load_file(folder.source_classifier), trained)
    assert equal(load_file(cached), trained)


def test_a_draft_that_a_killed_search_left_in_the_cache_is_removed(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path / "first")
    results.source_classifiers.mkdir(parents=True)
    draft = results.source_classifiers / ".source-1.safetensors.0a1b2c3d.part"
    draft.write_bytes(b"half")
    os.utime(draft, (0, 0))
    classifier(make_spec(), FakeTasks(make_data()), results.path)
    assert not draft.exists()


def test_weights_of_another_network_are_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ResultsFolder(tmp_path / "first")
    write_weights(folder.source_classifier, {"weight": torch.zeros(1)})
    trained = classifier(make_spec(), FakeTasks(make_data()), folder.path)
    assert "holds the weights of another network" in caplog.text
    assert equal(load_file(folder.source_classifier), trained)


def test_two_searches_may_train_it_at_the_same_time(tmp_path: Path) -> None:
    tasks = [FakeTasks(make_data()), FakeTasks(make_data())]
    inner = tasks[1]

    def run_the_other_first(*arguments: Any, **options: Any) -> Any:
        weights.append(classifier(make_spec(), inner, tmp_path / "second"))
        return submit(*arguments, **options)

    weights: list[StateDict] = []
    outer: Any = tasks[0]
    submit = outer.submit
    outer.submit = run_the_other_first
    weights.append(classifier(make_spec(), outer, tmp_path / "first"))
    assert [len(task.submitted) for task in tasks] == [1, 1]
    assert equal(*weights)
    assert len(cache_of(tmp_path / "first")) == 1


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".cache").write_text("a file")
    folder = ResultsFolder(tmp_path / "first")
    trained = classifier(make_spec(), FakeTasks(make_data()), folder.path)
    assert "f_S not written to the cache" in caplog.text
    assert equal(load_file(folder.source_classifier), trained)


@pytest.mark.parametrize("name", ["__version__", "_CACHE_FORMAT"])
def test_other_versions_train_it_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache_names(tmp_path, make_spec())
    monkeypatch.setattr(module, name, "99")
    assert cache_names(tmp_path, make_spec()) != before


def test_the_weights_are_those_of_the_classifier_of_the_spec(tmp_path: Path) -> None:
    spec = make_spec()
    weights = classifier(spec, FakeTasks(make_data()), tmp_path / "search")
    build_classifier(spec.model.classifier, spec.data.source, CLASSES).load_state_dict(weights)


@pytest.mark.parametrize(
    "changed",
    [
        make_spec(source={"steps": 3, "batch_size": 4}),
        make_spec(augment={"shift": 0.1}),
        make_spec(augment={"flip": 0.5}),
        make_spec(augment={"jitter": {"contrast": 0.5}}),
        make_spec(lr_decay_from=0.25),
        make_spec(classifier_schedule="tllib"),
        make_spec(source={"steps": 2, "batch_size": 4, "label_smoothing": 0.1}),
        make_search(model={"classifier": {"dropout": 0.25}}).trial({}, seed=0),
        make_spec().model_copy(update={"seed": 1}),
    ],
)
def test_it_is_trained_again_for_each_setting_that_changes_it(
    tmp_path: Path, changed: TrialSpec
) -> None:
    assert cache_names(tmp_path, changed) != cache_names(tmp_path, make_spec())


def test_it_depends_on_the_content_of_the_pretrained_weights(tmp_path: Path) -> None:
    def names(file: Path, content: bytes) -> list[str]:
        file.write_bytes(content)
        backbone = {"name": "torchvision:resnet18", "weights": str(file)}
        spec = make_search(model={"classifier": backbone}).trial({}, seed=0)
        return cache_names(tmp_path, spec)

    expected = names(tmp_path / "a.pth", b"first")
    assert names(tmp_path / "b.pth", b"first") == expected
    assert names(tmp_path / "a.pth", b"other") != expected


@pytest.mark.parametrize(
    "changed",
    [
        make_spec(epochs=3),
        make_spec(batch_size=4),
        make_spec(pool_size=7),
        make_spec(gan_augment={"flip": 0.5}),
    ],
)
def test_settings_of_the_trials_do_not_change_it(tmp_path: Path, changed: TrialSpec) -> None:
    assert cache_names(tmp_path, changed) == cache_names(tmp_path, make_spec())


def test_it_depends_on_the_labelled_source_and_on_colours_that_it_takes(tmp_path: Path) -> None:
    data = make_data()
    expected = cache_names(tmp_path, make_spec(), data)
    other = make_data(seed=1)
    target = replace(data, target_train_images=other.target_train_images)
    assert cache_names(tmp_path, make_spec(), target) == expected
    coloured = make_spec(source={"steps": 2, "batch_size": 4, "fourier_beta": 0.1})
    assert cache_names(tmp_path, coloured, target) != cache_names(tmp_path, coloured, data)
    images = replace(data, source_train_images=other.source_train_images)
    assert cache_names(tmp_path, make_spec(), images) != expected
    labels = replace(data, source_train_labels=np.roll(data.source_train_labels, 1))
    assert cache_names(tmp_path, make_spec(), labels) != expected


def test_a_task_that_finds_no_node_leaves_no_file(tmp_path: Path) -> None:
    tasks = FakeTasks(make_data(), error=NodesLostError("no node had room"))
    with pytest.raises(NodesLostError):
        classifier(make_spec(), tasks, tmp_path / "search")
    assert not any(tmp_path.iterdir())


def cache_names(folder: Path, spec: TrialSpec, data: TrialData | None = None) -> list[str]:
    """The files of a new cache, without any training."""
    tasks = FakeTasks(data or make_data(), result={"weight": torch.zeros(1)})
    results = folder / f"results-{len(list(folder.iterdir()))}" / "search"
    classifier(spec, tasks, results)
    return [file.name for file in cache_of(results)]


def equal(first: StateDict, second: StateDict) -> bool:
    if first.keys() != second.keys():
        return False
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_trained_source_classifier_is_known_by_its_file_or_by_the_cache(tmp_path: Path) -> None:
    spec, tasks = make_spec(), FakeTasks(make_data())
    first = ResultsFolder(tmp_path / "first")
    second = ResultsFolder(tmp_path / "second")

    def known(results: ResultsFolder, data: TrialData) -> bool:
        file, cache = results.source_classifier, results.source_classifiers
        return is_trained(spec, data, file=file, cache=cache)

    assert not known(first, tasks.data)
    classifier(spec, tasks, first.path)
    assert known(first, make_data(seed=1))  # it belongs to the search
    assert known(second, tasks.data)
    assert not known(second, make_data(seed=1))


def test_another_sampling_trains_other_weights(tmp_path: Path) -> None:
    data = make_data()
    classifier(make_spec(), FakeTasks(data), tmp_path / "first")
    classifier(make_spec(source_sampling="balanced"), FakeTasks(data), tmp_path / "second")
    assert len(cache_of(tmp_path / "first")) == 2
