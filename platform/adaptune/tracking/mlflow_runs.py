"""MLflow: a run per search, with a nested run per trial."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from PIL import Image

from adaptune.evaluation.summary import Summary
from adaptune.study.trial import StudyTrial
from adaptune.tracking.tracker import TrackedSearch, epoch_figures, summary_figures

_SEARCH = "adaptune.search_id"
_TRIAL = "adaptune.trial"
_STATE = "adaptune.state"
_PARENT = "mlflow.parentRunId"  # how MLflow nests runs
_UNSUITABLE = re.compile(r"[^\w\-./ :]")  # in the name of a metric


class MlflowTracker:
    """A `Tracker` that writes to MLflow.

    Args:
        address: address of the server or the store.
        search: the search; a resumed one continues its runs.

    Raises:
        mlflow.exceptions.MlflowException: MLflow refused something; so do the methods.
    """

    def __init__(self, address: str, search: TrackedSearch) -> None:
        self._client = MlflowClient(address)
        self._search = search
        experiment = self._client.get_experiment_by_name(search.project)
        if experiment is None:
            self._experiment = self._client.create_experiment(search.project)
        else:
            self._experiment = experiment.experiment_id
        self._parent = self._open_run(search.name, {_SEARCH: search.identity}).info.run_id
        self._client.update_run(self._parent, "RUNNING")  # an extended search had finished
        self._client.log_artifact(self._parent, str(search.folder.spec))
        self._runs: dict[int, str] = {}
        self._last_epochs: dict[int, int] = {}
        self._ended: set[int] = set()

    def update(self, trial: StudyTrial) -> None:
        """Write new epochs of a trial, and its end."""
        if trial.number in self._ended:
            return
        run_id = self._run_of(trial)
        if trial.number in self._ended:
            return
        for epoch in trial.epochs:
            if epoch.number > self._last_epochs[trial.number]:
                figures = epoch_figures(epoch) | {"epoch": epoch.number}
                self._log(run_id, figures, step=epoch.number)
                self._last_epochs[trial.number] = epoch.number
        if trial.state.is_finished():
            self._end(trial, run_id)

    def finish(self, summary: Summary, export: Path | None) -> None:
        """Write the summary, the report and the exported model to the run of the search."""
        self._log(self._parent, summary_figures(summary))
        self._client.set_tag(self._parent, "adaptune.verdict", summary.verdict)
        folder = self._search.folder
        for file in (folder.summary, folder.report):
            if file.exists():
                self._client.log_artifact(self._parent, str(file))
        if export is not None:
            self._client.log_artifacts(self._parent, str(export), export.name)
        self._client.set_terminated(self._parent)

    def stop(self) -> None:
        """End the runs of the search and of its running trials; a resume continues them."""
        running = [run_id for number, run_id in self._runs.items() if number not in self._ended]
        for run_id in (*running, self._parent):
            self._client.set_terminated(run_id, "KILLED")

    def _run_of(self, trial: StudyTrial) -> str:
        number = trial.number
        if number not in self._runs:
            tags = {_SEARCH: f"{self._search.identity}-trials", _TRIAL: str(number)}
            run = self._open_run(f"trial {number}", tags | {_PARENT: self._parent})
            self._last_epochs[number] = int(run.data.metrics.get("epoch", 0))
            if _STATE in run.data.tags:
                self._ended.add(number)
            else:
                self._client.update_run(run.info.run_id, "RUNNING")  # its session was stopped
            params = [Param(path, str(value)) for path, value in trial.values.items()]
            self._client.log_batch(run.info.run_id, params=params)
            self._runs[number] = run.info.run_id
        return self._runs[number]

    def _end(self, trial: StudyTrial, run_id: str) -> None:
        best = trial.best_epoch
        if best is not None:
            figures = {"best_objective": best.objective, "best_epoch": float(best.number)}
            self._log(run_id, figures)
        if trial.error is not None:
            self._client.set_tag(run_id, "adaptune.error", trial.error)
        for epoch, png in self._search.sample_grids(trial).items():
            picture = Image.open(io.BytesIO(png))
            self._client.log_image(run_id, picture, f"translations/epoch-{epoch:04d}.png")
        status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}.get(trial.state.name, "FAILED")
        self._client.set_terminated(run_id, status)
        self._client.set_tag(run_id, _STATE, trial.state.name.lower())
        self._ended.add(trial.number)

    def _open_run(self, name: str, tags: Mapping[str, str]) -> Run:
        """Return the run with these tags, which may be of an earlier session, or a new one."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        runs = self._client.search_runs([self._experiment], query, max_results=1)
        if runs:
            return runs[0]
        return self._client.create_run(self._experiment, tags=dict(tags), run_name=name)

    def _log(self, run_id: str, figures: Mapping[str, float], step: int = 0) -> None:
        now_ms = int(1000 * time.time())
        metrics = []
        for name, value in figures.items():
            metrics.append(Metric(_UNSUITABLE.sub("_", name), value, now_ms, step))
        self._client.log_batch(run_id, metrics=metrics)
