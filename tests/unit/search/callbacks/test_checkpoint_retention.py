from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.fake_search import FakeTrial, make_record, make_result, make_search

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetentionCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.checkpoint import CheckpointFolder

GB = 10**9


class Search:
    """Trials that write checkpoints of 1 GB, under a budget."""

    def __init__(self, out: Path, budget_gb: float | None) -> None:
        self.study: SearchStudy = create_study(make_search(training={"epochs": 3}))
        self.folder = ResultsFolder(out / "fake")
        self.callback = CheckpointRetentionCallback(self.study, self.folder, budget_gb)

    def train(
        self, accuracies: Sequence[float], *, ends: bool = True, error: str | None = None
    ) -> None:
        trial = self.study.ask()
        checkpoints = Path(self.folder.checkpoints(trial.number).path)
        checkpoints.mkdir(parents=True)
        for epoch, accuracy in enumerate(accuracies, start=1):
            record = make_record(epoch, accuracy)
            with (checkpoints / f"epoch-{epoch:04d}.pt").open("wb") as file:
                file.truncate(GB)  # takes no space
            self.study.add_epoch(trial, record, accuracy)
            self.callback.on_epoch(TrialConfig(trial.number, {}), record)
        if ends:
            self.study.tell_result(trial, epochs=3, error=error, wall_s=None)

    @property
    def kept(self) -> dict[int, list[int]]:
        """Epochs with a checkpoint, by trial."""
        numbers = [trial.number for trial in self.study.started_trials()]
        return {number: self.folder.checkpoints(number).epochs() for number in numbers}


@pytest.mark.parametrize(
    ("budget_gb", "kept"),
    [
        (None, {0: [1, 2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (9, {0: [1, 2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (4, {0: [2], 1: [1], 2: [1, 3]}),  # first those that no trial needs
        (3, {0: [2], 1: [], 2: [1, 3]}),  # then the best of the worst
        # Never the best of the search, nor the best and the newest of a running trial.
        (1, {0: [2], 1: [], 2: [1, 3]}),
    ],
)
def test_the_least_useful_checkpoints_are_deleted_first(
    tmp_path: Path, budget_gb: float | None, kept: dict[int, list[int]]
) -> None:
    search = Search(tmp_path, budget_gb)
    search.train((0.5, 0.9, 0.8))
    search.train((0.5, 0.4, 0.3))
    search.train((0.6, 0.2, 0.1), ends=False)
    assert search.kept == kept


def test_the_best_checkpoint_of_a_failed_trial_goes_before_those_of_others(tmp_path: Path) -> None:
    search = Search(tmp_path, budget_gb=2)
    search.train((0.5,))
    search.train((0.9,), error="step 3: nan")
    search.train((0.6,))
    assert search.kept == {0: [1], 1: [], 2: [1]}


def test_checkpoints_of_earlier_sessions_count(tmp_path: Path) -> None:
    earlier = Search(tmp_path, budget_gb=None)
    earlier.train((0.5, 0.9, 0.8))
    resumed = Search(tmp_path, budget_gb=3)
    resumed.study = earlier.study
    resumed.callback = CheckpointRetentionCallback(earlier.study, earlier.folder, 3)
    resumed.train((0.6,), ends=False)
    assert resumed.kept == {0: [2, 3], 1: [1]}


def test_a_budget_that_is_too_small_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = Search(tmp_path, budget_gb=1)
    caplog.clear()
    search.train((0.6, 0.2), ends=False)
    assert caplog.messages == [
        "the checkpoints that are needed take 2.00 GB, more than the budget of 1.00 GB"
    ]


def test_a_store_that_does_not_answer_does_not_end_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: CheckpointFolder) -> dict[int, int]:
        raise OSError("503 Service Unavailable")

    search = Search(tmp_path, budget_gb=1)
    monkeypatch.setattr(CheckpointFolder, "sizes", refuse)
    caplog.clear()
    trial = FakeTrial("tune-1", TrialConfig(0, {}).to_tune())
    search.callback.on_trial_result(1, [trial], trial, make_result(1, 0.5))
    assert caplog.messages == ["CheckpointRetentionCallback failed; the search continues"]


def test_a_search_without_a_budget_does_not_ask_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(CheckpointFolder, "sizes")
    Search(tmp_path, budget_gb=None).train((0.5,))
