"""Searches without training, whose figures go to trackers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.driver import SearchRun
from adaptune.spec.schema import SearchSpec
from adaptune.spec.serialize import dump_spec
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from support.fake_run import make_run, make_splits
from support.fake_search import make_search, simulate, smooth

TRIALS = 4
EPOCHS = 3


def make_tracked(folder: Path, **tracking: Any) -> SearchSpec:
    """A search of four trials of three epochs."""
    return make_search(
        search={"trials": TRIALS, "scheduler": "none"},
        training={"epochs": EPOCHS},
        storage={"out": str(folder)},
        tracking=tracking,
    )


def make_tracked_run(spec: SearchSpec, folder: Path) -> SearchRun:
    """The driver's side of the search, whose study is in the folder."""
    folder.mkdir(exist_ok=True)
    study = open_study(spec, folder / "study.journal")
    run = make_run(folder, spec, study, make_splits())
    run.folder.spec.write_text(dump_spec(spec))
    return replace(run, console=Console(file=run.console.file, width=200))


def train(run: SearchRun, *callbacks: SearchCallback, stop_after: int | None = None) -> SearchStudy:
    """Train the trials that the study lacks, or some epochs of them."""
    return simulate(
        run.spec, None, smooth, study=run.study, callbacks=callbacks, stop_after=stop_after
    )


def write_grid(run: SearchRun, number: int, epoch: int) -> None:
    """Write a sample grid of a trial."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (20, 10), (epoch, 0, 0)).save(file, "png")
    run.folder.checkpoints(number).save_sample_grid(epoch, file.getvalue())
