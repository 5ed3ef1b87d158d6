from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.fake_search import make_record, make_search

from adaptune.results.folder import ResultsFolder
from adaptune.study.checkpoint_deletion import PAUSE_S, CheckpointDeletion
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.checkpoint import CheckpointFolder, TrialFile

GB = 10**9


class Search:
    """Trials that write checkpoints of 1 GB and small sample grids, under a budget."""

    def __init__(self, out: Path, budget_gb: float | None = None) -> None:
        self.study: SearchStudy = create_study(make_search(training={"epochs": 3}))
        self.folder = ResultsFolder(out / "fake")
        self.now = 0.0
        self.kept_by_epoch: list[list[int]] = []  # of a group
        self.resume(budget_gb)

    def resume(self, budget_gb: float | None = None) -> None:
        self.deletion = CheckpointDeletion(
            self.study, self.folder, budget_gb, clock=lambda: self.now
        )

    def train(
        self,
        accuracies: Sequence[float],
        *,
        ends: bool = True,
        error: str | None = None,
        killed: bool = False,
        grid_bytes: int = 0,
    ) -> None:
        trial = self.study.ask()
        checkpoints = Path(self.folder.checkpoints(trial.number).path)
        checkpoints.mkdir(parents=True)
        for epoch, accuracy in enumerate(accuracies, start=1):
            record = make_record(epoch, accuracy)
            for suffix, size in (("pt", GB), ("png", grid_bytes)):
                with (checkpoints / f"epoch-{epoch:04d}.{suffix}").open("wb") as file:
                    file.truncate(size)  # takes no space
            self.study.add_epoch(trial, record, accuracy)
            self.deletion.note_change(trial.number)
            self.step()
        if ends:
            self.study.tell_result(trial, epochs=3, error=error, wall_s=None)
        if not killed:
            self.deletion.note_change(trial.number)
            self.step()

    def train_group(self, *members: Sequence[float]) -> None:
        """Train a group whose trials end one after another, the one with the most epochs last."""
        trials = dict(enumerate(self.study.ask_group(len(members))))
        checkpoints = Path(self.folder.checkpoints(trials[0].number).path)
        checkpoints.mkdir(parents=True)
        for epoch in range(1, 1 + max(map(len, members))):
            with (checkpoints / f"epoch-{epoch:04d}.pt").open("wb") as file:
                file.truncate(GB)
            for place, trial in list(trials.items()):
                accuracy = members[place][epoch - 1]
                self.study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
                if epoch == len(members[place]):
                    self.study.tell_result(trial, epochs=3, error=None, wall_s=None)
                    del trials[place]
                self.deletion.note_change(trial.number)
                self.step()
            self.kept_by_epoch.append(self.kept[self.study.leader(trial.number)])

    def step(self) -> None:
        self.deletion.delete_files(1.0)

    @property
    def kept(self) -> dict[int, list[int]]:
        """Epochs with a checkpoint, by trial."""
        numbers = [trial.leader for trial in self.study.started_trials()]
        return {number: self.folder.checkpoints(number).epochs() for number in numbers}

    def grids(self, number: int) -> list[int]:
        files = self.folder.checkpoints(number).files()
        return [file.epoch for file in files if file.kind == "sample grid"]


def test_an_ended_trial_keeps_its_best_checkpoint_and_its_sample_grids(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.train((0.5, 0.9, 0.8))
    search.train((0.5, 0.4))
    search.train((0.7, 0.9, 0.8), error="step 9: nan")
    search.train((0.6, 0.2, 0.1), ends=False)
    assert search.kept == {0: [2], 1: [1], 2: [2], 3: [1, 2, 3]}
    assert search.grids(0) == [1, 2, 3]


def test_a_requeued_trial_keeps_what_its_resume_needs(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.train((0.6, 0.2), ends=False)
    search.deletion.note_change(0)
    search.step()
    assert search.kept == {0: [1, 2]}


def test_the_next_session_completes_a_deletion(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.train((0.5, 0.9, 0.8), killed=True)
    assert search.kept == {0: [1, 2, 3]}
    search.resume()
    search.step()
    assert search.kept == {0: [2]}


@pytest.mark.parametrize(
    ("budget_gb", "kept"),
    [
        (9, {0: [2], 1: [1], 2: [1, 2, 3]}),
        (4.4, {0: [2], 1: [1], 2: [1, 3]}),  # first those that no trial needs
        (3.4, {0: [2], 1: [], 2: [1, 3]}),  # then the best of the worst
        # Never the best of the search, nor the best and the newest of a running trial.
        (1.4, {0: [2], 1: [], 2: [1, 3]}),
    ],
)
def test_the_least_useful_checkpoints_are_deleted_first(
    tmp_path: Path, budget_gb: float, kept: dict[int, list[int]]
) -> None:
    search = Search(tmp_path, budget_gb)
    search.train((0.5, 0.9, 0.8))
    search.train((0.5, 0.4, 0.3))
    search.train((0.6, 0.2, 0.1), ends=False)
    assert search.kept == kept


def test_sample_grids_count_and_go_before_a_trials_last_checkpoint(tmp_path: Path) -> None:
    search = Search(tmp_path, budget_gb=5.5)
    search.train((0.5, 0.4), grid_bytes=GB)  # its last checkpoint and two grids
    search.train((0.5, 0.9), grid_bytes=GB)
    assert search.kept == {0: [1], 1: [2]}
    # Trial 0 was the best that had ended when there was no more room.
    assert (search.grids(0), search.grids(1)) == ([1], [1, 2])


def test_the_best_checkpoint_of_a_failed_trial_goes_before_those_of_others(tmp_path: Path) -> None:
    search = Search(tmp_path, budget_gb=2.2)
    search.train((0.5,))
    search.train((0.9,), error="step 3: nan")
    search.train((0.6,))
    assert search.kept == {0: [1], 1: [], 2: [1]}


def test_checkpoints_of_earlier_sessions_count(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.train((0.5, 0.9, 0.8), ends=False)
    search.resume(budget_gb=3.4)
    search.train((0.6,), ends=False)
    assert search.kept == {0: [2, 3], 1: [1]}


def test_a_budget_that_is_too_small_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = Search(tmp_path, budget_gb=1)
    caplog.clear()
    search.train((0.6, 0.2), ends=False)
    assert caplog.messages[0] == (
        "the checkpoints that are needed take 2.0 GB, more than the budget of 1.0 GB"
    )


def test_tunes_loop_waits_about_a_second_for_a_slow_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path)
    for _ in range(5):
        search.train((0.5, 0.4), killed=True)

    def remove_slowly(_: CheckpointFolder, name: str) -> None:
        search.now += 0.4
        removed.append(name)

    removed: list[str] = []
    monkeypatch.setattr(CheckpointFolder, "remove", remove_slowly)
    search.resume()
    counts = []
    for _ in range(3):
        search.step()
        counts.append(len(removed))
    assert counts == [3, 5, 5]


def test_a_store_that_does_not_answer_is_asked_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: CheckpointFolder) -> list[TrialFile]:
        raise OSError("503 Service Unavailable")

    search = Search(tmp_path)
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFolder, "files", refuse)
        search.train((0.5, 0.4))
        search.step()
    assert caplog.messages == [
        "files of trials could not be deleted, to be repeated: 503 Service Unavailable"
    ]
    search.step()
    assert search.kept == {0: [1, 2]}
    search.now += PAUSE_S
    search.step()
    assert search.kept == {0: [1]}


def test_a_search_without_a_budget_asks_the_store_at_the_end_of_a_trial_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(CheckpointFolder, "files")
    Search(tmp_path).train((0.5, 0.4), ends=False)


def test_a_group_keeps_the_best_checkpoint_of_each_trial_once_the_last_one_has_ended(
    tmp_path: Path,
) -> None:
    search = Search(tmp_path)
    search.train((0.5,))
    search.train_group((0.9,), (0.1, 0.2, 0.3, 0.8, 0.4))
    assert search.kept == {0: [1], 1: [1, 4]}
    assert search.kept_by_epoch == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 4]]


def test_a_budget_spares_what_any_trial_of_a_running_group_needs(tmp_path: Path) -> None:
    search = Search(tmp_path, budget_gb=3.4)
    search.train((0.5,))
    search.train_group((0.9,), (0.1, 0.2, 0.3, 0.8, 0.4))
    assert search.kept_by_epoch == [[1], [1, 2], [1, 3], [1, 4], [1, 4]]
    assert search.kept == {0: [1], 1: [1, 4]}


def test_a_budget_covers_the_checkpoints_of_before_training_started_again(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.train((0.5, 0.4, 0.3), ends=False)
    path = Path(search.folder.checkpoints(0).path)
    for epoch in (1, 2, 3):
        (path / f"epoch-{epoch:04d}.pt").rename(path / f"epoch-{epoch:04d}.earlier-1.pt")
    (path / "epoch-0001.pt").touch()
    search.resume(budget_gb=1.2)
    search.step()
    kept = sorted(file.name for file in path.glob("*.pt"))
    assert kept == ["epoch-0001.earlier-1.pt", "epoch-0001.pt"]


def test_the_next_session_deletes_what_an_ended_group_does_not_need(tmp_path: Path) -> None:
    search = Search(tmp_path)
    search.deletion.delete_files = lambda _: None  # type: ignore[method-assign]
    search.train_group((0.9,), (0.1, 0.2, 0.3))
    assert search.kept == {0: [1, 2, 3]}
    search.resume()
    search.step()
    assert search.kept == {0: [1, 3]}
