"""The callbacks that copy a search to other tools."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from ray.tune import Callback

from adaptune.cluster.local_ray import METRICS_SWITCH
from adaptune.errors import SpecError
from adaptune.evaluation.summary import Summary
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.driver import SearchRun
from adaptune.spec.tracking import TrackingSpec
from adaptune.tracking.ray_metrics import RayMetricsCallback
from adaptune.tracking.tracker import TrackedSearch, Tracker, TrackerCallback
from adaptune.tracking.webhook import webhook_address


def check_tracking(spec: TrackingSpec) -> None:
    """Check that the packages are installed, and that the webhook's address is known.

    Raises:
        SpecError: they are not, or it is not.
    """
    for package, value in (("mlflow", spec.mlflow), ("wandb", spec.wandb)):
        if value is not None and find_spec(package) is None:
            raise SpecError(
                f"tracking.{package} needs a package: pip install 'adaptune[{package}]'"
            )
    if spec.notify is not None:
        webhook_address(spec.notify)


def open_trackers(run: SearchRun) -> list[SearchCallback]:
    """Return the callbacks for Ray's metrics, if Ray collects them, and for each tool."""
    callbacks: list[SearchCallback] = []
    if os.environ.get(METRICS_SWITCH) != "0":
        callbacks.append(RayMetricsCallback(run))
    search = TrackedSearch.of(run)
    if run.spec.tracking.mlflow is not None:
        callbacks.append(TrackerCallback("MLflow", partial(_mlflow, run, search), run.study))
    if run.spec.tracking.wandb is not None:
        callbacks.append(TrackerCallback("W&B", partial(_wandb, run, search), run.study))
    return callbacks


def finish_trackers(run: SearchRun, summary: Summary, export: Path | None) -> None:
    """Copy the result to each tool, and wait for it; a failure is printed only."""
    for name, error in _failures(run.callbacks, summary, export):
        run.console.print(
            f"{name} has not taken everything: {error}. The same command with --resume copies it"
            " again.",
            style="yellow",
            highlight=False,
            markup=False,
        )


@contextmanager
def trackers_told_of_a_stop(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Tell each tool if an error or a signal ends the search, so that no run looks alive."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            if isinstance(callback, TrackerCallback):
                callback.stop()
        raise


def _failures(
    callbacks: Sequence[Callback], summary: Summary, export: Path | None
) -> list[tuple[str, OSError]]:
    failures = []
    for callback in callbacks:
        if isinstance(callback, TrackerCallback):
            try:
                callback.finish(summary, export)
            except OSError as error:
                failures.append((callback.name, error))
    return failures


def _mlflow(run: SearchRun, search: TrackedSearch) -> Tracker:
    from adaptune.tracking.mlflow_runs import MlflowTracker

    assert run.spec.tracking.mlflow is not None
    return MlflowTracker(run.spec.tracking.mlflow, search)


def _wandb(run: SearchRun, search: TrackedSearch) -> Tracker:
    from adaptune.tracking.wandb_runs import WandbTracker

    assert run.spec.tracking.wandb is not None
    return WandbTracker(run.spec.tracking.wandb, search)
