from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from support.tiny_trial import make_data

from adaptune.execution import base
from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.spec.resources import WorkerResources


def test_shared_references_are_fetched_in_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data()
    values = {"data-ref": data, "weights-ref": {"weight": torch.ones(1)}}
    requests: list[list[str]] = []

    def get(references: list[str]) -> list[Any]:
        requests.append(references)
        return [values[reference] for reference in references]

    monkeypatch.setattr(base.ray, "get", get)
    shared = SharedRefs("data-ref", "weights-ref")
    assert shared.get() == (data, values["weights-ref"])
    assert requests == [["data-ref", "weights-ref"]]


def test_the_settings_of_a_runner_do_not_change() -> None:
    settings = RunnerSettings("workers", WorkerResources(2, 1, 0.0), "/scratch")
    with pytest.raises(FrozenInstanceError):
        settings.name = "others"  # type: ignore[misc]
