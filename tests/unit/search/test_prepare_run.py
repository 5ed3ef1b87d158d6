from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from rich.console import Console
from support.fake_search import make_search

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import NodesLostError, ResultsError
from adaptune.execution.base import SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.search import driver
from adaptune.search.driver import SearchRun, prepare_run
from adaptune.spec.resources import WorkerResources
from adaptune.training.identity import TrialInputs

RESOURCES = WorkerResources(workers=2, cpus_per_worker=3, gpus_per_worker=0.5)
PLAN = PlacementPlan("ray_train", RESOURCES, 1, 1, task_cpus=2)


@pytest.fixture
def preparation(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps in the preparation of a run, in order."""
    steps: list[str] = []

    def put(value: object) -> str:
        steps.append(f"put {value}")
        return f"reference to {value}"

    def train(
        spec: Any, data: object, data_ref: object, tasks: Any, *, file: Path, cache: Path
    ) -> Any:
        assert (data, data_ref) == ("data", "reference to data")
        assert tasks.cpus_per_task == PLAN.task_cpus
        steps.append(f"train with seed {spec.seed} for {file.parent.name}")
        return "weights"

    monkeypatch.setattr(driver, "write_or_verify", lambda *_: steps.append("verify the data"))
    monkeypatch.setattr(ray, "put", put)
    monkeypatch.setattr(driver, "source_classifier", train)
    monkeypatch.setattr(driver, "weights_digest", lambda weights: f"digest of {weights}")
    return steps


class FakeData(str):
    """Data of a trial; its labels count."""

    target_val_labels = (0, 1)


def prepare(tmp_path: Path, console: Console) -> SearchRun:
    spec = make_search(seed=7, resources={"wait_for_nodes_s": 2000})
    splits: Any = SimpleNamespace(trial=FakeData("data"), digest=lambda: "digest of data")
    folder = ResultsFolder(tmp_path / "fake")
    folder.path.mkdir(exist_ok=True)
    return prepare_run(spec, splits, PLAN, folder, console, start=0.0)


def test_the_data_is_verified_before_anything_is_trained(
    tmp_path: Path, preparation: list[str]
) -> None:
    text = io.StringIO()
    run = prepare(tmp_path, Console(file=text))
    assert preparation == [
        "verify the data",
        "put data",
        "train with seed 7 for fake",
        "put weights",
    ]
    assert run.shared == SharedRefs("reference to data", "reference to weights")
    assert run.inputs == TrialInputs("digest of data", "digest of weights")
    weights: Any = run.source_weights
    assert weights == "weights"
    assert run.source_classifier_s >= 0
    assert text.getvalue() == "source classifier ready after 0 s\n"
    assert run.capacity.node_timeout_s == 2000
    assert run.study.started_trials() == []
    assert run.folder.journal.exists()


@pytest.mark.usefixtures("preparation")
def test_a_resume_prints_what_changed_since_the_search_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, Console(file=io.StringIO()))
    monkeypatch.setattr(driver, "weights_digest", lambda weights: "another digest")
    text = io.StringIO()
    run = prepare(tmp_path, Console(file=text, width=300))
    assert "since this search began, the weights of f_S changed" in text.getvalue()
    assert run.inputs == TrialInputs("digest of data", "another digest", ("digest of weights",))


def test_other_data_ends_a_resumed_search_before_anything_is_trained(
    tmp_path: Path, preparation: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ResultsError("other images or labels")

    monkeypatch.setattr(driver, "write_or_verify", refuse)
    with pytest.raises(ResultsError, match="other images"):
        prepare(tmp_path, Console(file=io.StringIO()))
    assert preparation == []


def test_a_search_that_ends_while_f_s_is_trained_has_a_study(
    tmp_path: Path, preparation: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_node(*_: object, **__: object) -> None:
        raise NodesLostError("no node had room")

    monkeypatch.setattr(driver, "source_classifier", no_node)
    with pytest.raises(NodesLostError):
        prepare(tmp_path, Console(file=io.StringIO()))
    assert preparation[0] == "verify the data"
    assert (tmp_path / "fake" / "study.journal").stat().st_size > 0
