from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.fake_run import printed
from support.fake_search import make_search, simulate, smooth

from adaptune.errors import ResultsError, SpecError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import create_or_resume
from adaptune.results.lock import driver_lock
from adaptune.spec.schema import SearchSpec
from adaptune.study.requests import Request, pending_requests, send_request
from adaptune.study.storage import open_study
from adaptune.workflows import steering
from adaptune.workflows.steering import SteeringCallback, read_setting

CYCLE, IDENTITY = "loss_weights.cycle", "loss_weights.identity"


def make_spec(folder: Path, **search: Any) -> SearchSpec:
    return make_search(
        search={"trials": 4, "scheduler": "none"} | search,
        storage={"out": str(folder)},
        training={"epochs": 3},
    )


class SteeredSearch:
    """A search that is not trained; each request arrives after some epochs."""

    def __init__(self, folder: Path, **search: Any) -> None:
        self.spec = make_spec(folder, **search)
        self.folder = create_or_resume(self.spec, resume=False)
        self.screen = Console(file=StringIO(), width=200)

    def run(self, requests: dict[int, Request], **options: Any) -> None:
        """Run the search.

        Args:
            requests: what is requested, by the number of epochs before.
        """
        study = open_study(self.spec, self.folder.journal)
        planned = self.spec.planned_trials
        callback = SteeringCallback(self.folder, study, planned, self.screen, clock=self._clock)
        callback.carry_out()
        self.epochs = 0
        self.now = 0.0

        def curve(values: Any, epoch: int) -> float:
            if self.epochs in requests:
                send_request(self.folder, requests[self.epochs])
            self.epochs += 1
            return smooth(values, epoch)

        simulate(self.spec, None, curve, study=study, callbacks=[callback], **options)

    def _clock(self) -> float:
        self.now = getattr(self, "now", 0.0) + 1
        return self.now

    def trials(self) -> list[tuple[str, int]]:
        """State and number of epochs of each trial."""
        study = open_study(self.spec, self.folder.journal)
        return [(trial.state.name, trial.last_epoch) for trial in study.started_trials()]


COMPLETE = ("COMPLETE", 3)


def test_a_trial_is_stopped_after_its_epoch(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    search.run({3: Request(action="stop", trial=1)})
    assert search.trials() == [COMPLETE, ("PRUNED", 2), COMPLETE, COMPLETE]
    assert list(pending_requests(search.folder)) == []
    assert printed(search.screen) == "on request: trial 1 stops after its current epoch\n"


def test_a_setting_is_tried_next_and_in_addition(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    search.run({1: Request(action="try", values={CYCLE: 3.0})})
    assert search.trials() == [COMPLETE] * 5
    study = open_study(search.spec, search.folder.journal)
    assert study.trial(1).values[CYCLE] == 3.0


def test_added_trials_are_trained(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    search.run({10: Request(action="add", trials=2)})  # while the last one trains
    assert search.trials() == [COMPLETE] * 6


def test_no_more_trials_start_after_a_request_to_finish(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    search.run({3: Request(action="finish")}, concurrency=2)
    assert search.trials() == [COMPLETE] * 2


def test_an_early_end_is_announced_once(tmp_path: Path) -> None:
    rule = {"gain_below": 99}
    search = SteeredSearch(tmp_path, trials=24, stop_when=rule)
    search.run({})
    search.run({})
    assert search.trials() == [COMPLETE] * 20
    announced = printed(search.screen)
    assert announced.startswith("search.stop_when ended the search early, after 20 of 24 trials")
    assert announced.count("search.stop_when") == 1


def test_a_request_before_a_kill_has_its_effect_after_it(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    requests = {1: Request(action="stop", trial=0), 0: Request(action="add", trials=1)}
    search.run(requests, stop_after=2)
    search.run({})
    assert search.trials() == [("PRUNED", 2), *[COMPLETE] * 4]


def test_a_finished_search_continues_with_what_was_requested_since(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    search.run({})
    assert steering.add_trials(search.folder.path, 1) == (
        "1 trial(s) to be added, once the search runs: resume it with --resume"
    )
    search.run({})
    assert search.trials() == [COMPLETE] * 5


def test_a_damaged_request_is_removed(tmp_path: Path) -> None:
    search = SteeredSearch(tmp_path)
    send_request(search.folder, Request(action="finish"))
    [file] = (search.folder.path / "requests").iterdir()
    file.write_text("{")
    search.run({})
    assert "cannot be read; it is removed" in printed(search.screen)
    assert list(pending_requests(search.folder)) == []
    assert search.trials() == [COMPLETE] * 4


def test_a_message_does_not_mention_a_resume_while_the_search_runs(killed: ResultsFolder) -> None:
    with driver_lock(killed):
        assert steering.finish_search(killed.path) == (
            "the search will end after its running trials"
        )


def test_only_a_running_trial_is_stopped(killed: ResultsFolder) -> None:
    steering.stop_trial(killed.path, 2)
    with pytest.raises(ResultsError, match="trial 0 has ended already; running: 2"):
        steering.stop_trial(killed.path, 0)
    with pytest.raises(ResultsError, match="trial 7 has not begun; running: 2"):
        steering.stop_trial(killed.path, 7)
    assert [request for _, request in pending_requests(killed)] == [Request(action="stop", trial=2)]


def test_a_setting_may_have_the_last_name_of_a_path(killed: ResultsFolder) -> None:
    assert steering.try_setting(killed.path, ["cycle=3"]).startswith("to try: cycle=3")
    [(_, request)] = pending_requests(killed)
    assert request == Request(action="try", values={CYCLE: 3.0})


def test_all_faults_of_a_setting_are_reported(killed: ResultsFolder) -> None:
    with pytest.raises(SpecError) as error:
        steering.try_setting(killed.path, ["cycle=50", "identity=1", "cycle", "cycle=[1"])
    assert str(error.value).splitlines() == [
        "cycle=50: must be a number from 0.1 to 30",
        "identity=1: must be PATH=VALUE, with one of the searched: loss_weights.cycle",
        "cycle: must be PATH=VALUE, with one of the searched: loss_weights.cycle",
        "cycle=[1: must be a number from 0.1 to 30",
    ]
    assert list(pending_requests(killed)) == []


def test_a_value_needs_what_its_condition_names() -> None:
    condition = {"when": {"training.gan_loss": "log"}, "otherwise": 0}
    space = {
        CYCLE: {"search": "uniform", "low": 1, "high": 5} | condition,
        "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
    }
    spec = make_search(space)
    with pytest.raises(SpecError, match=r"cycle needs training.gan_loss, as one of: log"):
        read_setting(spec, ["cycle=2"])
    with pytest.raises(SpecError, match=r"loss_weights.cycle needs training.gan_loss"):
        read_setting(spec, ["cycle=2", "gan_loss=lsgan"])
    values = {CYCLE: 2.0, "training.gan_loss": "log"}
    assert read_setting(spec, ["cycle=2", "gan_loss=log"]) == values


def test_a_grid_has_no_further_points(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, sampler={"name": "grid", "points": 2})
    folder = create_or_resume(spec, resume=False)
    with pytest.raises(SpecError, match="name a setting with `adaptune try`"):
        steering.add_trials(folder.path, 1)


def test_a_folder_that_cannot_be_written_is_named(killed: ResultsFolder) -> None:
    (killed.path / "requests").write_text("")
    with pytest.raises(ResultsError, match="cannot write to"):
        steering.finish_search(killed.path)
