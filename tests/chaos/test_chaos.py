"""Searches on clusters that fail.

After each failure every trial is there once, and nothing is left on the cluster.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.local_cluster import Nodes
from support.object_store import ObjectStore
from support.real_ray import (
    IN_PROCESS,
    RAY,
    actors,
    evaluate,
    kill_while_starting,
    trial_rows,
    trials_of,
    wait_for_cleanup,
    wait_until,
)
from support.running_search import EPOCHS, TRIALS, RunningSearch
from support.two_networks import possible, two_networks

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
# 15 to 25 s are usual on two cores, and several times as much if others use them too.
RECOVERY_TIMEOUT_S = 180.0
DRAIN_OPTIONS = (
    "--reason=DRAIN_NODE_REASON_PREEMPTION",
    "--reason-message=chaos",
    "--deadline-remaining-seconds=3",
)
WORKER_NODES = "[n['NodeID'] for n in ray.nodes() if n['Alive'] and 'CPU' in n['Resources']]"
Start = Callable[..., RunningSearch]


def test_the_workers_of_a_trial_may_be_on_two_nodes(undisturbed: Path) -> None:
    assert {row["workers"] for row in trial_rows(undisturbed)} == {2}  # on nodes of one CPU


@pytest.mark.parametrize(
    ("victim", "reuse_workers"),
    [("RayTrainWorker", True), ("RayTrainWorker", False), ("TrainController", True)],
)
def test_a_killed_part_of_a_worker_group_costs_the_current_epoch_only(
    start: Start, undisturbed: Path, victim: str, reuse_workers: bool
) -> None:
    search = start(resources__reuse_workers=reuse_workers)
    search.wait_for_epochs(2)
    search.kill_actor(victim)
    search.wait_for_more_epochs(RECOVERY_TIMEOUT_S)
    search.ends_like(undisturbed)


def test_a_killed_in_process_trial_resumes_from_its_last_epoch(start: Start) -> None:
    search = start(**IN_PROCESS)
    search.wait_for_epochs(2)
    grids = search.sample_grids()
    assert grids
    search.kill_actor("TrialTrainable")
    search.ends_complete()
    assert grids.items() <= search.sample_grids().items()  # no epoch was trained again
    assert search.stored_epochs() == TRIALS * EPOCHS


@pytest.mark.parametrize("victim", ["TrainController", "TrialTrainable"])
def test_a_worker_group_killed_while_its_workers_start_frees_their_cpus(
    start: Start, undisturbed: Path, victim: str
) -> None:
    # A placement group left behind would hold two of the three CPUs: no trial would find room.
    search = start()
    kill_while_starting(search.cluster, "RayTrainWorker", victim)
    search.wait_for_more_epochs(RECOVERY_TIMEOUT_S, count=1)
    search.ends_like(undisturbed)


def test_a_lost_node_costs_the_current_epoch_only(
    nodes: Nodes, start: Start, undisturbed: Path
) -> None:
    search = start()
    search.wait_for_epochs(2)
    for name in nodes.living()[:2]:  # the two workers of a trial are on two of the three nodes
        nodes.kill(name)
        nodes.join()
    search.ends_like(undisturbed)


def test_a_drained_node_costs_the_current_epoch_only(
    nodes: Nodes, start: Start, undisturbed: Path
) -> None:
    search = start()
    search.wait_for_epochs(2)
    for node_id in evaluate(nodes, WORKER_NODES)[:2]:
        drain = [*RAY, "drain-node", f"--address={nodes.address}", f"--node-id={node_id}"]
        subprocess.run([*drain, *DRAIN_OPTIONS], env=nodes.environment, check=True)
        nodes.join()
    search.ends_like(undisturbed)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_takes_nothing_that_was_there(
    nodes: Nodes, start: Start, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(disk), "-o"]
    subprocess.run([*mount, "size=30m"], check=True)  # two checkpoints
    try:
        search = start(disk / "s")
        assert search.driver.wait(timeout=300) in (0, 1)
        assert nodes.logged(f"not written to {search.folder}/trials")
        assert nodes.logged("[Errno 28]")
        before = end_times(search.folder)
        subprocess.run([*mount, "remount,size=1g"], check=True)
        search.resume()
        search.ends_complete()
        assert before.items() <= end_times(search.folder).items()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def end_times(folder: Path) -> dict[int, object]:
    """Return the time at which each trial ended, by its number."""
    times: dict[int, object] = {}
    for trial in trials_of(folder):
        if trial.datetime_complete is not None:
            times[trial.number] = trial.datetime_complete
    return times


@pytest.mark.timeout(1200)
def test_a_driver_killed_ten_times_ends_with_the_same_trials(
    start: Start, undisturbed: Path
) -> None:
    search = start()
    kill_at(moments(search), search)
    search.ends_like(undisturbed)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(  # with six trials, there may be a model of `curves`
    ("sampler", "leaders"), [("tpe", [0, 0, 2]), ("curves", [0, 0, 2, 2, 4, 4])]
)
def test_a_driver_killed_ten_times_ends_with_the_same_trial_groups(
    start: Start, tmp_path: Path, sampler: str, leaders: list[int]
) -> None:
    settings = {
        "search__classifiers_per_gan": 2,
        "resources__workers_per_trial": 1,
        "search__sampler": sampler,
        "trials": len(leaders),
    }
    undisturbed = start(tmp_path / "undisturbed", **settings)
    undisturbed.ends_complete()
    assert [row["group"] for row in trial_rows(undisturbed.folder)] == leaders
    search = start(**settings)
    kill_at(moments_of_groups(search, leaders[-1]), search)
    search.ends_like(undisturbed.folder)


def kill_at(moments: Mapping[str, Callable[[], bool]], search: RunningSearch) -> None:
    """Kill the driver of a search at each of these moments, and start it again."""
    for event, has_happened in moments.items():
        search.wait_for(has_happened, event)
        search.kill_driver()
        search.restart()


def moments(search: RunningSearch) -> dict[str, Callable[[], bool]]:
    """Return ten moments of a search in their order: a description and a check of each."""
    return {
        "the start": has_file(search, "search.yaml"),
        "the training of f_S": has_file(search, "splits.parquet"),
        "the start of the study": has_file(search, "study.journal"),
        "the first epoch": has_epochs(search, 1),
        "the end of the first trial": has_trials(search, 1),
        "an epoch of the second trial": has_epochs(search, EPOCHS + 1),
        "the end of the second trial": has_trials(search, 2),
        "an epoch of the third trial": has_epochs(search, 2 * EPOCHS + 2),
        "the end of the last trial": has_trials(search, TRIALS),
        "the evaluation of the best model": has_file(search, "summary.json"),
    }


def moments_of_groups(search: RunningSearch, last: int) -> dict[str, Callable[[], bool]]:
    """Return ten moments of a search in groups, the last of which begins with trial `last`."""
    return {
        "the start": has_file(search, "search.yaml"),
        "the start of the study": has_file(search, "study.journal"),
        "the first epoch of one trial": has_epochs(search, 1),
        "the first epoch of both trials": has_epochs(search, 2),
        "an epoch of one of two trials": has_epochs(search, 5),
        "the last epoch of one of two trials": has_epochs(search, 2 * EPOCHS - 1),
        "the end of a trial": has_trials(search, 1),
        "an epoch of the last group": has_epochs(search, last * EPOCHS + 2),
        "the end of the last trial": has_trials(search, search.trials),
        "the evaluation of the best model": has_file(search, "summary.json"),
    }


def has_file(search: RunningSearch, name: str) -> Callable[[], bool]:
    """Return a check of whether the results have a file."""
    return (search.folder / name).exists


def has_epochs(search: RunningSearch, count: int) -> Callable[[], bool]:
    """Return a check of whether the study has this many epochs."""
    return lambda: search.stored_epochs() >= count


def has_trials(search: RunningSearch, count: int) -> Callable[[], bool]:
    """Return a check of whether this many trials have ended."""
    return lambda: search.ended_trials() >= count


def test_a_driver_killed_while_a_worker_group_starts_leaves_nothing(start: Start) -> None:
    search = start()
    # The cleaner is what must outlive the other parts of the worker group.
    kill_while_starting(search.cluster, "OrphanCleaner", search.driver.pid)
    search.driver.wait()
    wait_for_cleanup(search.cluster)


def test_a_search_stopped_while_its_workers_start_leaves_nothing(start: Start) -> None:
    search = start()
    wait_until(lambda: actors(search.cluster, "TrainController"), "the start of a worker group")
    search.driver.send_signal(signal.SIGINT)
    assert search.driver.wait(timeout=60) == 128 + signal.SIGINT
    wait_for_cleanup(search.cluster)
    search.resume()
    search.ends_complete()


def test_a_concurrency_above_the_capacity_is_reduced_to_what_fits(start: Start) -> None:
    search = start(resources__max_concurrent=50)
    search.ends_complete()
    # The nodes have three CPUs, and a trial needs two.
    assert "1 trial(s) at a time, each on 2 Ray Train worker(s)" in search.output.read_text()
    trials = trials_of(search.folder)
    for earlier, later in itertools.pairwise(trials):
        assert earlier.datetime_complete is not None
        assert later.datetime_start is not None
        assert earlier.datetime_complete <= later.datetime_start


def test_a_trial_that_no_node_can_hold_is_refused(start: Start) -> None:
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
    search.ends_like(undisturbed)


def test_an_object_store_that_fails_for_a_while_costs_no_trial(
    start: Start, undisturbed: Path, object_store: ObjectStore
) -> None:
    search = start(storage__remote=object_store.uri)
    search.wait_for_epochs(2)
    object_store.fails = True
    search.wait_for_more_epochs(RECOVERY_TIMEOUT_S)
    wait_until(lambda: object_store.refused, "a request to the store")
    object_store.fails = False
    search.ends_like(undisturbed)
    files = object_store.files()
    journal = "s/study.journal/000000000000"
    assert {"s/best/classifier.safetensors", journal, "s/summary.json"} <= files
    assert any(name.startswith("s/trials/2/checkpoints/") for name in files)


@pytest.mark.skipif(not possible(), reason="makes network namespaces")
def test_a_link_that_is_cut_and_restored_costs_the_current_epoch_only(
    tmp_path: Path, undisturbed: Path, reuse_workers: bool
) -> None:
    with two_networks() as networks:
        search = RunningSearch(networks, tmp_path / "s", resources__reuse_workers=reuse_workers)
        search.wait_for_epochs(2)
        with networks.cut():
            wait_until(lambda: networks.living() == 2, "the loss of the node beyond the link")
        networks.join_far()  # the old node ends itself when it learns that it was given up
        search.ends_like(undisturbed)
