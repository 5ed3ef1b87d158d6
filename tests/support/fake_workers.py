"""A trainable on runners that return the outcomes that they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.search import trainable as trainable_module
from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig
from adaptune.search.trainable import TrialContext, TrialTrainable
from adaptune.spec.resources import Execution, WorkerResources
from adaptune.training.identity import TrialInputs
from support.fake_search import make_search
from support.scripted_runner import ScriptedRunner, Step

SHARED = SharedRefs(data="data", source_weights="weights")
RESOURCES = WorkerResources(workers=2, cpus_per_worker=3, gpus_per_worker=0.5)


@dataclass
class Workers:
    """The runners that a trainable opens, one per group of steps."""

    groups: list[list[Step]]
    opened: list[ScriptedRunner] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)

    def open(self, execution: Execution, settings: RunnerSettings, shared: SharedRefs) -> Any:
        assert shared is SHARED
        runner = ScriptedRunner(self.groups.pop(0), settings)
        self.executions.append(execution)
        self.opened.append(runner)
        return runner


@dataclass
class Trial:
    trainable: TrialTrainable
    workers: Workers

    def step(self) -> GroupResult:
        return GroupResult.from_tune(self.trainable.step())


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
        for name, fake in (("open_runner", workers.open), ("ray", ray)):
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
        return Trial(trainable, workers)


def make_config(*numbers: int, **options: Any) -> dict[str, Any]:
    """The config of a group of trials with values."""
    values = {"loss_weights.cycle": 3.0, "loss_weights.identity": 0.5}
    trials = tuple(TrialConfig(number, values) for number in numbers)
    return GroupConfig(trials, numbers[0], **options).to_tune()
