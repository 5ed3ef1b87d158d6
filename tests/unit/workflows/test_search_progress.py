from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from support.fake_run import SimulatedTrials, printed

from adaptune.spec.schema import SearchSpec
from adaptune.workflows import search
from adaptune.workflows.search import run


def test_long_steps_are_announced_with_their_duration(
    spec: SearchSpec,
    trials: SimulatedTrials,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = Console(file=StringIO(), width=500, highlight=False, emoji=False)
    monkeypatch.setattr(search, "seconds_left", lambda _: 720.0)
    monkeypatch.setattr(search, "LONG_STEP_S", 0.01)
    run(spec, console=console)
    announced = [line for line in printed(console).splitlines() if " about " in line]
    assert announced[1].startswith("training the source classifier, which takes about ")
    assert announced[2] == "its evaluation and the baselines take about 12 min"
    run(spec, resume=True, console=console)
    assert printed(console).count("its evaluation and the baselines take") == 1
