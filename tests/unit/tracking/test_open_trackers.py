from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_run import make_summary, printed
from support.tracked_search import make_tracked, make_tracked_run

from adaptune.cluster.local_ray import METRICS_SWITCH
from adaptune.errors import SpecError
from adaptune.spec.tracking import TrackingSpec
from adaptune.tracking import open_trackers as module
from adaptune.tracking.open_trackers import (
    check_tracking,
    finish_trackers,
    open_trackers,
    trackers_told_of_a_stop,
)
from adaptune.tracking.ray_metrics import RayMetricsCallback
from adaptune.tracking.tracker import TrackerCallback


def test_a_missing_package_is_named_before_a_search_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    check_tracking(TrackingSpec())
    with pytest.raises(SpecError, match=r"tracking.mlflow .*'adaptune\[mlflow\]'"):
        check_tracking(TrackingSpec(mlflow="sqlite:///mlflow.db"))
    with pytest.raises(SpecError, match=r"tracking.wandb .*'adaptune\[wandb\]'"):
        check_tracking(TrackingSpec(wandb="offline"))


def test_so_is_a_webhook_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAT", raising=False)
    with pytest.raises(SpecError, match="CHAT is not set"):
        check_tracking(TrackingSpec(notify="CHAT"))


@pytest.mark.parametrize(
    ("switch", "tracking", "expected"),
    [
        ("0", {}, []),
        ("1", {}, [RayMetricsCallback]),
        ("0", {"mlflow": "sqlite:///x.db", "wandb": "offline"}, [TrackerCallback] * 2),
    ],
)
def test_each_tool_has_a_callback(
    switch: str,
    tracking: dict[str, Any],
    expected: list[type],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(METRICS_SWITCH, switch)
    metrics = object.__new__(RayMetricsCallback)
    monkeypatch.setattr(module, "RayMetricsCallback", lambda run: metrics)
    run = make_tracked_run(make_tracked(tmp_path, **tracking), tmp_path / "s")
    assert [type(callback) for callback in open_trackers(run)] == expected


def test_a_tool_that_fails_does_not_end_a_search(tmp_path: Path) -> None:
    run = make_tracked_run(make_tracked(tmp_path), tmp_path / "s")

    def refuse() -> Any:
        raise ConnectionError("no server")

    run = replace(run, callbacks=[TrackerCallback("tool", refuse, run.study)])
    finish_trackers(run, make_summary(), None)
    assert "tool has not taken everything: no server." in printed(run.console)


def test_only_a_stopped_search_tells_its_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[TrackerCallback] = []

    def note(callback: TrackerCallback) -> None:
        stopped.append(callback)

    monkeypatch.setattr(TrackerCallback, "stop", note)
    run = make_tracked_run(make_tracked(tmp_path), tmp_path / "s")
    callback = TrackerCallback("tool", lambda: pytest.fail("opened"), run.study)
    with trackers_told_of_a_stop([callback]):
        pass
    assert not stopped
    with pytest.raises(KeyboardInterrupt), trackers_told_of_a_stop([callback]):
        raise KeyboardInterrupt
    assert stopped == [callback]
