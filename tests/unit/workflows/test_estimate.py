from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from support.fake_calibration import CALIBRATION, WORKER, group_worker, replace_calibration
from support.fake_run import PLAN, make_splits, make_tiny_search, printed
from support.fake_search import make_record

from adaptune.errors import NodesLostError, ResourceError, TaskTimeoutError
from adaptune.execution.cause import MEMORY_HINT
from adaptune.results.folder import ResultsFolder
from adaptune.spec import load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import GroupSize, store_group_size
from adaptune.study.storage import open_study
from adaptune.workflows import estimate as module
from adaptune.workflows.estimate import (
    Estimate,
    estimate_before_start,
    estimate_on_cluster,
    print_estimate,
)

NODE = {"CPU": 2.0}


def make_spec(**sections: Any) -> SearchSpec:
    search = {"trials": 4, "scheduler": "none"}
    training = {"epochs": 10, "steps_per_epoch": 100, "batch_size": 4}
    return make_tiny_search(**{"search": search, "training": training} | sections)


def on_cluster(spec: SearchSpec, path: Path, plan: Any = PLAN) -> Estimate:
    folder = ResultsFolder(path)
    return estimate_on_cluster(spec, make_splits(), plan, folder, time.perf_counter(), print)


def test_a_new_search_is_calibrated_with_as_many_processes_as_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch)
    time_figure, memory, disk = on_cluster(make_spec(), tmp_path).figures
    assert copies == [2]
    # 40 epochs of 100 updates of 0.1 s, and about two minutes around them.
    assert time_figure == "about 9 min"
    assert memory == "400.0 MB of memory per worker"
    assert " of disk for checkpoints and sample grids in " in disk


def test_what_a_search_has_trained_replaces_the_calibration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch)
    spec = make_spec()
    folder = ResultsFolder(tmp_path)
    study = open_study(spec, folder.journal)
    (tmp_path / "trials").mkdir()
    trial = study.ask()
    for epoch in range(1, 11):
        study.add_epoch(trial, make_record(epoch, 0.5, train_s=50.0, eval_s=10.0), 0.5)
    study.tell_result(trial, epochs=10, error=None, wall_s=600.0)
    interrupted = study.ask()
    study.add_epoch(interrupted, make_record(1, 0.5, train_s=50.0, eval_s=10.0), 0.5)
    time_figure, _ = on_cluster(spec, tmp_path).figures
    assert copies == []
    assert time_figure == "about 36 min left"  # 29 epochs of a minute, and the baselines


def test_a_study_without_epochs_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch)
    (tmp_path / "trials").mkdir()
    on_cluster(make_spec(), tmp_path)  # no study at all
    open_study(make_spec(), ResultsFolder(tmp_path).journal)
    on_cluster(make_spec(), tmp_path)
    assert copies == [2, 2]


@pytest.mark.parametrize(
    ("gpus", "available_gb", "kind", "share"),
    [(0.0, 0.7, "memory", "350.0 MB"), (0.25, 0.7, "GPU memory", "175.0 MB")],
)
def test_memory_that_is_too_small_is_a_warning_with_what_to_lower(
    gpus: float,
    available_gb: float,
    kind: str,
    share: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    available = round(available_gb * 1e9)
    calibration = replace(CALIBRATION, is_on_gpu=gpus > 0, available_bytes=available)
    replace_calibration(monkeypatch, replace(WORKER, calibration=calibration))
    resources = replace(PLAN.resources, gpus_per_worker=gpus)
    [warning] = on_cluster(make_spec(), tmp_path, replace(PLAN, resources=resources)).warnings
    assert warning == (
        f"a worker needs about 400.0 MB of {kind}, but its share is {share}: {MEMORY_HINT}"
    )
    for key in ("training.batch_size", "model.generator.width", "data.source.size"):
        assert key in warning


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory")]
)
def test_a_calibration_without_enough_memory_ends_the_search(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, error)
    with pytest.raises(ResourceError, match=r"too little memory for a trial: .*lower training"):
        on_cluster(make_spec(), tmp_path)


def test_another_failure_of_the_calibration_leaves_the_estimate_of_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, RuntimeError("a process died"))
    estimate = on_cluster(make_spec(), tmp_path)
    assert len(estimate.figures) == 1
    assert estimate.warnings == ["no estimate of time and memory: RuntimeError: a process died"]


def test_a_calibration_that_takes_too_long_ends_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, TaskTimeoutError("the task ran for more than 10 s"))
    estimate = on_cluster(make_spec(), tmp_path)
    assert len(estimate.figures) == 1
    assert estimate.warnings == ["no estimate of time and memory: the calibration took too long"]


def test_a_cluster_without_room_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, NodesLostError("no room"))
    with pytest.raises(NodesLostError):
        on_cluster(make_spec(), tmp_path)


def test_before_the_start_the_images_are_counted(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def calibrate(spec: object, data_sizes: Any, plan: object, copies: int) -> Any:
        sizes.append(data_sizes)
        return WORKER

    monkeypatch.setattr(module, "calibrate_on_this_machine", calibrate)
    estimate = estimate_before_start(load_spec(space), PLAN, NODE)
    assert len(estimate.figures) == 4
    # 32 images of 16 px with three channels
    assert estimate.figures[3].startswith("24.6 kB for prepared images in ")
    assert (sizes[0].classes, sizes[0].source_train + sizes[0].source_val) == (2, 16)


@pytest.mark.parametrize("domain", ["imagefolder:missing", "mnist"])
def test_without_the_data_there_is_only_an_estimate_of_disk(
    domain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch)
    spec = make_spec(storage={"out": str(tmp_path)})
    form = {"domain": domain, "size": 16, "channels": 1}
    tree = spec.model_dump() | {"data": {"source": form, "target": form}}
    estimate = estimate_before_start(SearchSpec.model_validate(tree), PLAN, NODE)
    assert len(estimate.figures) == 1
    assert estimate.warnings[0].startswith("no estimate of time and memory: ")
    assert copies == []


AUTO = {"trials": 8, "scheduler": "none", "classifiers_per_gan": "auto"}
FEATURE = {"feature": {"search": "uniform", "low": 0, "high": 1}}


def test_a_new_search_chooses_how_many_trials_share_a_gan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch, group_worker)
    spec = make_spec(search=AUTO, loss_weights=FEATURE)
    estimate = on_cluster(spec, tmp_path)
    assert estimate.group_size == GroupSize(
        4, "an epoch takes 10.60 s, and each further trial adds 3.00 s"
    )
    assert copies == [2, 2]
    # Two groups of 10 epochs of 19.6 s, and 1.5 min around them.
    assert estimate.figures[:2] == ["about 8 min", "403.0 MB of memory per worker"]


def test_a_search_keeps_the_number_that_it_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = replace_calibration(monkeypatch, group_worker)
    spec = make_spec(search=AUTO, loss_weights=FEATURE)
    folder = ResultsFolder(tmp_path)
    study = open_study(spec, folder.journal)
    (tmp_path / "trials").mkdir()
    chosen = GroupSize(2, "it was measured")
    store_group_size(study, chosen)
    assert on_cluster(spec, tmp_path).group_size == chosen
    assert copies == [2]  # only for the estimate
    study.add_epoch(study.ask(), make_record(1, 0.5), 0.5)
    assert on_cluster(spec, tmp_path).group_size == chosen
    assert copies == [2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a process died"), "RuntimeError: a process died"),
        (TaskTimeoutError("it ran for more than 10 s"), "the calibration took too long"),
    ],
)
def test_without_a_calibration_no_trials_share_a_gan(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, error)
    estimate = on_cluster(make_spec(search=AUTO, loss_weights=FEATURE), tmp_path)
    assert estimate.group_size == GroupSize(1, reason)


def test_a_given_number_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_calibration(monkeypatch, group_worker)
    search = AUTO | {"classifiers_per_gan": 2}
    estimate = on_cluster(make_spec(search=search, loss_weights=FEATURE), tmp_path)
    assert estimate.group_size is None
    assert estimate.figures[1] == "401.0 MB of memory per worker"


def test_the_number_of_trials_per_gan_comes_first() -> None:
    console = Console(file=StringIO(), width=40)
    size = GroupSize(3, "further trials need no more memory")
    print_estimate(Estimate(["about 6 min"], group_size=size), console)
    print_estimate(Estimate(["about 6 min"], group_size=replace(size, trials=1)), console)
    assert printed(console) == (
        "groups of 3 trials share a GAN: further trials need no more memory\n"
        "estimate: about 6 min\n"
        "no trials share a GAN: further trials need no more memory\n"
        "estimate: about 6 min\n"
    )


def test_an_estimate_is_one_line_and_one_per_warning() -> None:
    console = Console(file=StringIO(), width=40)
    print_estimate(Estimate(["about 6 min", "1 GB of disk"], ["too [small]"]), console)
    assert printed(console) == "estimate: about 6 min, 1 GB of disk\ntoo [small]\n"
