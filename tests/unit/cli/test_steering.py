"""The commands that steer a search, on one that was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adaptune.results.folder import ResultsFolder
from adaptune.study.requests import Request, pending_requests

Run = Callable[..., Any]
Refuse = Callable[..., str]


def test_each_command_leaves_a_request(run: Run, killed: ResultsFolder) -> None:
    commands = {
        ("stop-trial", 2): Request(action="stop", trial=2),
        ("try", "loss_weights.cycle=3"): Request(action="try", values={"loss_weights.cycle": 3.0}),
        ("add-trials", 5): Request(action="add", trials=5),
        ("finish",): Request(action="finish"),
    }
    for name, *arguments in commands:
        status, out, error = run(name, killed.path, *arguments)
        assert (status, error) == (0, "")
        assert out.endswith("once the search runs: resume it with --resume\n")
    requests = [request for _, request in pending_requests(killed)]
    assert requests == list(commands.values())


def test_wrong_input_is_refused(refusal: Refuse, killed: ResultsFolder) -> None:
    assert "must be a number from 0.1 to 30" in refusal("try", killed.path, "cycle=31")
    assert "trial 0 has ended already" in refusal("stop-trial", killed.path, 0)
    refusal("add-trials", killed.path, 0)
    assert "holds no search" in refusal("finish", killed.path.parent)
    assert list(pending_requests(killed)) == []
