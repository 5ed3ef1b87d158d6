"""Weights & Biases: a run per search and a run per trial, in one group."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Literal

import wandb
from PIL import Image

from adaptune.evaluation.summary import Summary
from adaptune.spec.distributions import Value
from adaptune.study.trial import StudyTrial
from adaptune.tracking.tracker import TrackedSearch, epoch_figures, summary_figures

_COMPLETE = "complete"  # a file in the folder of a run that has the whole trial


class WandbTracker:
    """A `Tracker` that writes to Weights & Biases.

    Args:
        mode: whether the runs go to the server, or to the folder `wandb` of the results, for
            `wandb sync`.
        search: the search; a resumed one continues its runs.

    Raises:
        wandb.Error: W&B refused something; so do the methods.
    """

    def __init__(self, mode: Literal["online", "offline"], search: TrackedSearch) -> None:
        self._mode = mode
        self._search = search
        self._runs: dict[int, wandb.Run] = {}
        self._last_epochs: dict[int, int] = {}
        self._ended: set[int] = set()

    def update(self, trial: StudyTrial) -> None:
        """Write new epochs of a trial, and its end."""
        number = trial.number
        if number in self._ended:
            return
        if number not in self._runs and not self._begin(trial):
            return
        run = self._runs[number]
        for epoch in trial.epochs:
            if epoch.number > self._last_epochs[number]:
                figures = epoch_figures(epoch) | {"epoch": epoch.number}
                run.log(figures, step=epoch.number)
                self._last_epochs[number] = epoch.number
        if trial.state.is_finished():
            self._end(trial, run)

    def stop(self) -> None:
        """End the runs of running trials; a resume continues them."""
        for run in self._runs.values():
            run.finish(exit_code=1)

    def finish(self, summary: Summary, export: Path | None) -> None:
        """Write the summary and the exported model to the run of the search."""
        for unfinished in self._runs.values():  # of trials that have not ended
            unfinished.finish()
        run = self._open_run(self._search.name, self._search.identity, "search", {})
        run.summary.update(summary_figures(summary) | {"verdict": summary.verdict})
        if export is not None:
            artifact = wandb.Artifact(f"{self._search.name}-best", type="model")
            artifact.add_dir(str(export))
            run.log_artifact(artifact)
        run.finish()

    def _begin(self, trial: StudyTrial) -> bool:
        """Open the run of a trial; return False if an earlier session wrote all of it."""
        number = trial.number
        identity = f"{self._search.identity}-{number}"
        for earlier in self._search.folder.path.glob(f"wandb/*run-*-{identity}"):
            if (earlier / _COMPLETE).exists():
                self._ended.add(number)
                return False
            if self._mode == "offline":  # the new file has all epochs of the trial
                shutil.rmtree(earlier, ignore_errors=True)
        run = self._open_run(f"trial {number}", identity, "trial", trial.values)
        self._runs[number] = run
        self._last_epochs[number] = int(run.summary.get("epoch", 0))  # of an earlier session
        return True

    def _end(self, trial: StudyTrial, run: wandb.Run) -> None:
        best = trial.best_epoch
        if best is not None:
            run.summary.update({"best_objective": best.objective, "best_epoch": best.number})
        run.summary.update({"state": trial.state.name.lower(), "error": trial.error})
        pictures = []
        for epoch, png in self._search.sample_grids(trial).items():
            pictures.append(wandb.Image(Image.open(io.BytesIO(png)), caption=f"epoch {epoch}"))
        if pictures:
            run.log({"translations": pictures}, step=trial.last_epoch + 1)
        run.finish(exit_code=int(trial.state.name == "FAIL"))
        Path(run.dir).with_name(_COMPLETE).touch()
        self._ended.add(trial.number)
        del self._runs[trial.number]

    def _open_run(self, name: str, identity: str, kind: str, config: dict[str, Value]) -> wandb.Run:
        # Ray's output is in ray.log, and its workers' load is in its metrics.
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, x_disable_stats=True
        )
        return wandb.init(
            project=self._search.project,
            group=f"{self._search.name}-{self._search.identity}",
            job_type=kind,
            name=name,
            id=identity,
            resume="allow",
            reinit="create_new",
            mode=self._mode,
            dir=self._search.folder.path,
            config=config,
            settings=settings,
        )
