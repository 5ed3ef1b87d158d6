from __future__ import annotations

import pytest
from support.tiny_trial import make_data, make_source_weights, make_spec

from adaptune.execution import base, open_runner
from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.execution.in_process import InProcessRunner
from adaptune.spec.resources import WorkerResources

SETTINGS = RunnerSettings("workers", WorkerResources(1, 1, 0.0), "/scratch")
SHARED = SharedRefs("data-ref", "weights-ref")


def test_a_runner_in_this_process_gets_the_shared_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"data-ref": make_data(), "weights-ref": make_source_weights(make_spec())}
    monkeypatch.setattr(base.ray, "get", lambda references: [values[ref] for ref in references])
    runner = open_runner.open_runner("in_process", SETTINGS, SHARED)
    assert isinstance(runner, InProcessRunner)


def test_a_runner_of_ray_train_workers_gets_the_references(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def get(references: list[str]) -> None:
        raise AssertionError("the process of the runner has no use for the data")

    monkeypatch.setattr(base.ray, "get", get)
    monkeypatch.setattr(open_runner, "RayTrainRunner", lambda *arguments: arguments)
    assert open_runner.open_runner("ray_train", SETTINGS, SHARED) == (SETTINGS, SHARED)
