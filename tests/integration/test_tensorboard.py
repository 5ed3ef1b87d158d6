"""The event files of a search in TensorBoard."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fake_search import make_record
from support.real_ray import wait_until
from support.tracked_search import EPOCHS, make_tracked, make_tracked_run, train, write_grid

from adaptune.search.callbacks.tensorboard import TensorBoardCallback
from adaptune.search.protocol import TrialConfig

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Serve event files; yield the address."""
    program = pytest.importorskip("tensorboard.program")
    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(folder), "--port", "0", "--load_fast", "false"])
    yield server.launch().rstrip("/")


def ask(address: str, path: str, **options: Any) -> Any:
    query = urllib.parse.urlencode(options)
    with urllib.request.urlopen(f"{address}/data/plugin/{path}?{query}") as response:
        return json.load(response)


def wait_for_runs(address: str, names: set[str]) -> None:
    """Wait until TensorBoard has read the files."""
    wait_until(lambda: ask(address, "scalars/tags").keys() >= names, "the runs", 60)


def test_tensorboard_shows_figures_pictures_and_searched_values(tmp_path: Path) -> None:
    run = make_tracked_run(make_tracked(tmp_path), tmp_path / "s")
    train(run)
    callback = TensorBoardCallback(run.spec, run.study, run.folder)
    trials = run.study.started_trials()
    for trial in trials:
        write_grid(run, trial.number, 1)
        config = TrialConfig(trial.number, trial.values)
        for epoch in trial.epochs:
            callback.on_epoch(config, make_record(epoch.number, epoch.objective))
        callback.on_trial_end(config)
    with tensorboard(run.folder.path / "trials") as address:
        names = {str(trial.number) for trial in trials}
        wait_for_runs(address, names)
        for trial in trials:
            name = str(trial.number)
            curve = ask(address, "scalars/scalars", run=name, tag="target_val_accuracy")
            values = {step: value for _, step, value in curve}
            assert values == pytest.approx(trial.curve)
            rates = ask(address, "scalars/scalars", run=name, tag="learning_rate/generators")
            assert len(rates) == EPOCHS
            [picture] = ask(address, "images/images", run=name, tag="translations", sample=0)
            assert picture["step"] == 1
        experiment = ask(address, "hparams/experiment", request="{}")
    searched = {info["name"] for info in experiment["hparamInfos"]}
    assert searched == set(run.spec.space)
    tags = {info["name"]["tag"] for info in experiment["metricInfos"]}
    assert tags == {"target_val_accuracy"}
