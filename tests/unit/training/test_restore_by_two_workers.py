"""Two workers that resume see different files."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec
from support.two_workers import run_two_workers

from adaptune.errors import AdaptuneError
from adaptune.training import restore
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.file_store import FileStore
from adaptune.training.loop import fit
from adaptune.training.state import TrainingState


class Worker:
    """One of two workers that train in processes of their own."""

    def __init__(self, rank: int, folder: Path) -> None:
        self.rank = rank
        self.folder = folder
        self.outcomes: dict[str, Any] = {}

    def run(self, case: str, **spec: Any) -> None:
        """Train three epochs from the checkpoints of a case, and keep losses or the error."""
        trial = make_spec(batch_size=8, epochs=3, **spec)
        checkpoints = CheckpointFolder(str(self.folder / case), keep=9)
        losses: list[Any] = []
        try:
            for record in fit(
                trial, make_data(), make_source_weights(trial), device=CPU, checkpoints=checkpoints
            ):
                losses.append(record.losses)
        except AdaptuneError as error:
            losses.append(f"{type(error).__name__}: {error}")
        self.outcomes[case] = losses

    def hide_newest(self, *, for_s: float) -> None:
        """Let this worker see neither the newest file nor its name, as with a stale cache."""
        read_once = FileStore.read_once
        sizes_once = FileStore.sizes_once
        hidden = threading.Event()
        hidden.set()
        timer = threading.Timer(for_s, hidden.clear)
        timer.daemon = True
        timer.start()

        def read(files: FileStore, name: str) -> bytes:
            if hidden.is_set() and name == "epoch-0002.pt":
                raise FileNotFoundError(name)
            return read_once(files, name)

        def sizes(files: FileStore) -> dict[str, int]:
            by_name = sizes_once(files)
            if hidden.is_set():
                by_name.pop("epoch-0002.pt", None)
            return by_name

        patch = pytest.MonkeyPatch()
        patch.setattr(FileStore, "read_once", read)
        patch.setattr(FileStore, "sizes_once", sizes)

    def forget_last_epoch(self, case: str) -> None:
        if self.rank == 0:
            (self.folder / case / "epoch-0003.pt").unlink()
        dist.barrier()


def work(rank: int, folder: Path) -> dict[str, Any]:
    logging.disable()
    worker = Worker(rank, folder)
    for case in ("undisturbed", "late", "blind", "changed", "diverged"):
        worker.run(case)
        worker.forget_last_epoch(case)
    worker.run("undisturbed")
    worker.run("changed", generator="resnet")
    load = TrainingState.load_state_dict

    def load_wrongly(state: TrainingState, values: Any) -> None:
        load(state, values)
        state.step += rank

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingState, "load_state_dict", load_wrongly)
        worker.run("diverged")
    if rank == 1:
        worker.hide_newest(for_s=1.5)
    worker.run("late")
    restore.CHOICE_TIMEOUT_S = 0.5
    if rank == 1:
        worker.hide_newest(for_s=1000)
    worker.run("blind")
    return worker.outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_two_workers(work, tmp_path_factory.mktemp("ddp"))


@pytest.mark.slow
def test_a_worker_that_sees_the_newest_checkpoint_late_resumes_from_it(
    outcomes: list[dict[str, Any]],
) -> None:
    for worker in outcomes:
        assert len(worker["late"]) == 2
        assert worker["late"] == worker["undisturbed"]


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_newest_checkpoint_ends_its_group(
    outcomes: list[dict[str, Any]],
) -> None:
    for worker in outcomes:
        [error] = worker["blind"]
        assert error.startswith("WorkersLostError: worker 1 cannot read checkpoint")
        assert error.endswith("all nodes must see the same folder")


@pytest.mark.slow
def test_workers_that_disagree_end_their_group(outcomes: list[dict[str, Any]]) -> None:
    for worker in outcomes:
        [error] = worker["diverged"]
        assert error.startswith("WorkersLostError: the workers disagree")
        assert error.endswith("at the updates [4, 5]")


@pytest.mark.slow
def test_all_workers_raise_the_error_of_a_checkpoint_that_does_not_fit(
    outcomes: list[dict[str, Any]],
) -> None:
    for worker in outcomes:
        [error] = worker["changed"]
        assert error.startswith("CheckpointError: checkpoint ")
        assert "does not fit" in error
