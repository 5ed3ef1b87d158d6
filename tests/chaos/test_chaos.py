"""What happens to clusters at night. After each, every trial asked for is there once, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from support.local_cluster import Nodes
from support.object_store import ObjectStore
from support.real_ray import (
    RAY,
    Cluster,
    actors,
    ask,
    kill_while_starting,
    rows,
    tail,
    trials_of,
    wait_for_the_end,
    wait_until,
)
from support.two_networks import possible, two_networks

from adaptune.artifacts.load import load_export

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
TRIALS = 3
# One trial at a time: what is proposed hangs on which trials have ended, and a joining node would make room for two.
LONG = {
    "training__epochs": 4,
    "training__steps_per_epoch": 40,
    "search__scheduler": "none",
    "resources__max_concurrent": 1,
}
BACK_S = 60.0  # of a noisy machine of two cores, where 15 to 25 s are usual
Start = Callable[..., "Search"]


class Search:
    """A running search, in its own process."""

    def __init__(self, nodes: Cluster, folder: Path, **settings: Any) -> None:
        self.nodes, self.folder, self.settings = nodes, folder, LONG | settings
        self.driver = self._start()

    def _start(self, *extra: str) -> subprocess.Popen[bytes]:
        return self.nodes.start(
            self.folder.parent, self.folder.name, "--trials", str(TRIALS), *extra, **self.settings
        )

    def epochs(self) -> int:
        """How many epochs the study has heard of, over all trials."""
        journal = self.folder / "study.journal"
        return len(re.findall(r'"record:\d+"', journal.read_text())) if journal.exists() else 0

    def wait_for_epochs(self, count: int) -> None:
        def reached() -> bool:
            assert self.driver.poll() is None, tail(self.folder / "ray.log")
            return self.epochs() >= count

        wait_until(reached, f"epoch {count} of the search")

    def kill_driver(self) -> None:
        self.driver.send_signal(signal.SIGKILL)
        self.driver.wait()

    def resume(self) -> None:
        self.driver = self._start("--resume")

    def ends_whole(self) -> None:
        """Wait for its end, and hold it to what every search must leave."""
        assert self.driver.wait(timeout=300) == 0, tail(self.folder / "ray.log")
        trials = trials_of(self.folder)
        assert [trial.number for trial in trials] == list(range(TRIALS))
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
        assert all(row["epochs"] == LONG["training__epochs"] for row in rows(self.folder))
        assert json.loads((self.folder / "summary.json").read_text())["trials_total"] == TRIALS
        load_export(self.folder / "best")
        wait_for_the_end(self.nodes)


@pytest.fixture
def start(nodes: Nodes, tmp_path: Path, fresh_workers: bool) -> Start:
    def _start(**settings: Any) -> Search:
        return Search(
            nodes, tmp_path / "s", **{"resources__reuse_workers": not fresh_workers} | settings
        )

    return _start


def kill_actor(nodes: Nodes, class_name: str) -> None:
    pids = actors(nodes, class_name)
    assert pids, f"no actor {class_name}"
    os.kill(pids[0], signal.SIGKILL)


@pytest.fixture(scope="session")
def undisturbed(running_nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    search = Search(running_nodes, tmp_path_factory.mktemp("undisturbed") / "s")
    search.ends_whole()
    return search.folder


def test_a_trials_workers_may_lie_on_two_nodes(undisturbed: Path) -> None:
    assert {row["workers"] for row in rows(undisturbed)} == {2}  # on nodes of one CPU


@pytest.mark.parametrize(
    ("victim", "fresh"),
    [("RayTrainWorker", False), ("RayTrainWorker", True), ("TrainController", False)],
)
def test_a_killed_part_of_a_lane_costs_the_current_epoch_only(
    start: Start, undisturbed: Path, victim: str, fresh: bool
) -> None:
    search = start(resources__reuse_workers=not fresh)
    search.wait_for_epochs(2)
    kill_actor(search.nodes, victim)
    heard = search.epochs()
    wait_until(lambda: search.epochs() > heard + 1, "training after the kill", BACK_S)
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


def test_a_killed_in_process_trial_goes_on_from_its_last_epoch(start: Start) -> None:
    search = start(execution="in_process", resources__workers_per_trial=1)
    search.wait_for_epochs(2)
    kill_actor(search.nodes, "TrialTrainable")
    search.ends_whole()
    assert (
        search.epochs() <= TRIALS * LONG["training__epochs"] + 1
    )  # one was said again, and none trained again


@pytest.mark.parametrize("victim", ["TrainController", "TrialTrainable"])
def test_a_lane_killed_while_its_workers_start_gives_their_place_back(
    start: Start, undisturbed: Path, victim: str
) -> None:
    search = (
        start()
    )  # a placement group left behind would take two of the three CPUs: no trial would find a place
    kill_while_starting(search.nodes, "RayTrainWorker", victim)
    wait_until(lambda: search.epochs() > 0, "training after the kill", BACK_S)
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


def test_a_lost_node_costs_the_current_epoch_only(
    nodes: Nodes, start: Start, undisturbed: Path
) -> None:
    search = start()
    search.wait_for_epochs(2)
    for name in nodes.living()[:2]:  # a trial's two workers lie on two of the three
        nodes.kill(name)
        nodes.join()
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


def test_a_drained_node_costs_the_current_epoch_only(
    nodes: Nodes, start: Start, undisturbed: Path
) -> None:
    search = start()
    search.wait_for_epochs(2)
    alive_with_cpus = "[n['NodeID'] for n in ray.nodes() if n['Alive'] and 'CPU' in n['Resources']]"
    leaving = ask(search.nodes, alive_with_cpus)[:2]
    for node in leaving:
        options = [
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=night",
            "--deadline-remaining-seconds=3",
        ]
        address = f"--address={search.nodes.address}"
        subprocess.run(
            [*RAY, "drain-node", address, f"--node-id={node}", *options],
            env=search.nodes.environment,
            check=True,
        )
        nodes.join()
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_takes_nothing_that_was_there(
    start: Start, tmp_path: Path, undisturbed: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path), "-o"]
    subprocess.run([*mount, "size=30m"], check=True)  # two checkpoints
    try:
        search = start()
        assert search.driver.wait(timeout=300) in (0, 1)
        before = {trial.number: trial.datetime_complete for trial in trials_of(search.folder)}
        subprocess.run([*mount, "remount,size=1g"], check=True)
        search.resume()
        search.ends_whole()
        after = {trial.number: trial.datetime_complete for trial in trials_of(search.folder)}
        assert {number: ended for number, ended in before.items() if ended}.items() <= after.items()
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_driver_killed_ten_times_ends_with_the_same_trials(
    start: Start, undisturbed: Path
) -> None:
    search, moments = start(), random.Random(0)
    for _ in range(10):
        try:
            search.driver.wait(timeout=moments.uniform(3, 15))
        except subprocess.TimeoutExpired:
            search.kill_driver()
            search.resume() if (search.folder / "search.yaml").exists() else search.__init__(  # type: ignore[misc]
                search.nodes, search.folder, **search.settings
            )
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


def test_a_driver_killed_while_a_lane_starts_leaves_nothing(start: Start) -> None:
    search = start()
    kill_while_starting(
        search.nodes, "OrphanCleaner", search.driver.pid
    )  # what is to outlive the lane's other parts
    search.driver.wait()
    wait_for_the_end(search.nodes)


def test_a_search_stopped_while_its_workers_start_leaves_nothing(start: Start) -> None:
    search = start()
    wait_until(lambda: actors(search.nodes, "TrainController"), "the start of a lane")
    search.driver.send_signal(signal.SIGINT)
    assert search.driver.wait(timeout=60) == 130
    wait_for_the_end(search.nodes)
    search.resume()
    search.ends_whole()


def test_concurrency_above_capacity_is_what_fits(start: Start) -> None:
    start(resources__max_concurrent=50).ends_whole()


def test_what_no_node_can_hold_is_refused(start: Start) -> None:
    search = start(resources__cpus_per_worker=2)
    assert search.driver.wait(timeout=60) == 2
    assert not search.folder.exists()


def test_damaged_files_cost_no_more_than_themselves(start: Start, undisturbed: Path) -> None:
    search = start()
    search.wait_for_epochs(3)
    search.kill_driver()
    newest = max((search.folder / "trials" / "0" / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    with (search.folder / "study.journal").open("a") as journal:
        journal.write('{"op_code": 8, "wor')
    for snapshot in (search.folder / ".ray").rglob("*.json"):
        snapshot.write_text("{")
    search.resume()
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)


def test_an_object_store_that_fails_for_a_while_costs_no_trial(
    start: Start, undisturbed: Path, object_store: ObjectStore
) -> None:
    search = start(storage__remote=object_store.uri)
    search.wait_for_epochs(2)
    object_store.fails = True
    heard = search.epochs()
    wait_until(
        lambda: search.epochs() > heard + 1 and object_store.refused, "training without a store"
    )
    object_store.fails = False
    search.ends_whole()
    assert rows(search.folder) == rows(undisturbed)
    copied = object_store.files()
    assert {"s/best/classifier.safetensors", "s/study.journal", "s/summary.json"} <= copied
    assert any(name.startswith("s/trials/2/checkpoints/") for name in copied)


@pytest.mark.skipif(not possible(), reason="makes network namespaces")
def test_a_link_that_is_cut_and_healed_costs_the_current_epoch_only(
    tmp_path: Path, undisturbed: Path, fresh_workers: bool
) -> None:
    with two_networks() as networks:
        search = Search(networks, tmp_path / "s", resources__reuse_workers=not fresh_workers)
        search.wait_for_epochs(2)
        with networks.cut():
            wait_until(lambda: networks.living() == 2, "the loss of the node beyond the link")
        networks.join(far=True)  # the old one ends itself when it learns that it was given up
        search.ends_whole()
        assert rows(search.folder) == rows(undisturbed)
