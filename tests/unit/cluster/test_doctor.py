"""What is found amiss with a machine, and with the nodes of a cluster."""

from __future__ import annotations

import errno
import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.exceptions import GetTimeoutError, RayError
from rich.console import Console

from adaptune.cluster import doctor, node_probe
from adaptune.cluster.doctor import check_nodes, machine, nodes
from adaptune.cluster.node_probe import NodeProbe, probe_node, versions
from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResourceError
from adaptune.spec.resources import ResourcesSpec

SOUND = NodeProbe(versions(), torch_for_gpus=None, storage_error="")
CRASHED = RayError("the process died\nNo module named 'adaptune'")
ON_GPUS = PlacementPlan("ray_train", 1, 1, 1.0, 1, 1)
Cluster = dict[str, tuple[dict[str, float], NodeProbe | RayError | None]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Of two sound nodes: the resources of each, and what comes of a look at it."""
    found: Cluster = {name: ({"CPU": 4.0}, SOUND) for name in ("a", "b")}

    def trial_nodes(wish: ResourcesSpec) -> list[dict[str, Any]]:
        return [
            {"NodeID": n, "NodeManagerAddress": n, "Resources": has}
            for n, (has, _) in found.items()
        ]

    def get(look: str, timeout: float) -> NodeProbe:
        seen = found[look][1]
        if seen is None:
            raise GetTimeoutError
        if isinstance(seen, RayError):
            raise seen
        return seen

    monkeypatch.setattr(doctor, "trial_nodes", trial_nodes)
    monkeypatch.setattr(doctor, "_look_on", lambda node, mark, plan: node["NodeID"])
    monkeypatch.setattr(doctor.ray, "wait", lambda pending, timeout: (pending, []))
    monkeypatch.setattr(doctor.ray, "get", get)
    monkeypatch.setattr(doctor.ray, "cancel", lambda look, force: None)
    return found


def told(folder: Path | None) -> str:
    said = io.StringIO()
    on_cpus = replace(ON_GPUS, gpus_per_worker=0.0)
    check_nodes(folder, ResourcesSpec(), on_cpus, Console(file=said, width=300))
    return said.getvalue()


def test_of_sound_nodes_nothing_is_said(cluster: Cluster, tmp_path: Path) -> None:
    assert told(tmp_path) == ""
    assert [finding.level for finding in nodes(tmp_path, ResourcesSpec())] == ["ok", "ok"]
    assert not list(tmp_path.iterdir())


def test_a_node_that_cannot_write_the_results_refuses_a_search(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster["b"] = {"CPU": 4.0}, replace(SOUND, storage_error="Permission denied")
    with pytest.raises(
        ResourceError, match=rf"node b cannot write to {tmp_path} \(Permission denied\): .*remote"
    ):
        told(tmp_path)


def test_a_gpu_without_a_torch_for_it_refuses_a_search(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0, "GPU": 1.0}, replace(SOUND, torch_for_gpus=False)
    with pytest.raises(ResourceError, match="node b has a GPU, but a torch for CPUs"):
        told(None)


def test_a_node_without_room_for_a_worker_is_not_looked_at(cluster: Cluster) -> None:
    cluster["a"] = {"CPU": 4.0}, replace(SOUND, storage_error="not there")
    cluster["b"] = {"CPU": 4.0, "GPU": 1.0}, SOUND
    found = list(nodes(None, ResourcesSpec(), ON_GPUS))
    assert [finding.said for finding in found] == ["node b: 4 CPUs, 1 GPUs"]


@pytest.mark.parametrize(("gpus", "asked"), [(1.0, True), (0.0, False)])
def test_torch_is_asked_for_gpus_where_they_are_used(
    gpus: float, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    task = SimpleNamespace(remote=lambda mark, ask_torch: looks.append(ask_torch))
    monkeypatch.setattr(doctor.ray, "remote", lambda _: SimpleNamespace(options=lambda **_: task))
    node = {"NodeID": "00" * 28, "Resources": {"CPU": 4.0, "GPU": 1.0}}
    doctor._look_on(node, None, replace(ON_GPUS, gpus_per_worker=gpus))
    doctor._look_on(node | {"Resources": {"CPU": 4.0}}, None, ON_GPUS)
    assert looks == [asked, False]


@pytest.mark.parametrize("built", [True, False])
def test_torch_says_what_it_was_built_for(built: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    assert probe_node(None, ask_torch=True).torch_for_gpus == built
    assert probe_node(None, ask_torch=False).torch_for_gpus is None


def test_other_versions_are_told_of(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0}, replace(SOUND, versions=SOUND.versions | {"torch": "1.13"})
    assert told(None) == f"node b has torch 1.13, this machine {SOUND.versions['torch']}\n"


def test_a_node_without_adaptune_is_told_of_and_a_cluster_without_refused(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0}, CRASHED
    warning = "node b: is adaptune installed there? No module named 'adaptune'"
    assert told(None) == f"{warning}\n"
    cluster["a"] = {"CPU": 4.0}, CRASHED
    with pytest.raises(ResourceError, match=re.escape(warning)):
        told(None)


def test_nodes_that_are_slow_are_told_of_and_waited_for_no_longer(cluster: Cluster) -> None:
    cluster["a"] = cluster["b"] = {"CPU": 4.0}, None
    assert told(None) == "node a does not answer for 120 s\nnode b does not answer for 120 s\n"


def test_a_node_that_is_lost_meanwhile_is_no_fault(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(look: str, force: bool) -> None:
        cluster.pop("b")

    cluster["b"] = {"CPU": 4.0}, None
    monkeypatch.setattr(doctor.ray, "cancel", cancel)
    assert told(None) == ""


def test_a_cluster_whose_nodes_are_all_gone_now_is_no_fault(cluster: Cluster) -> None:
    cluster.clear()
    assert told(None) == "the cluster has no node with room for a worker now\n"


def test_what_cannot_be_reached_is_asked_for_again_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    waits: list[float] = []
    monkeypatch.setattr(
        node_probe.time, "sleep", lambda seconds: waits.append(seconds) or mark.touch()
    )
    assert probe_node(str(mark), ask_torch=False).storage_error == ""
    assert len(waits) == 1
    monkeypatch.setattr(node_probe, "PATIENCE_S", 0.0)
    assert (
        probe_node(str(tmp_path / "elsewhere"), ask_torch=False).storage_error
        == "No such file or directory"
    )


def test_a_folder_on_a_full_disk_is_a_fault(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", full)
    assert [finding.said for finding in nodes(tmp_path, ResourcesSpec())] == [
        f"{tmp_path} cannot be written: No space left on device"
    ]


def test_a_machine_with_little_room_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "estimate_available_memory", lambda: 2e9)
    monkeypatch.setattr(doctor, "get_shared_memory_bytes", lambda: 64e6)
    warnings = [finding.said for finding in machine(tmp_path) if finding.level == "warning"]
    assert "2.0 GB of memory free, less than 6: take a smaller training.batch_size" in warnings
    assert (
        "0.1 GB of shared memory (/dev/shm) free, less than 1: a container takes --shm-size=4g"
        in warnings
    )


def test_a_folder_that_cannot_be_written_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor.os, "access", lambda path, mode: False
    )  # the superuser may write anywhere
    diagnostics = [finding.said for finding in machine(tmp_path) if finding.level == "fault"]
    assert diagnostics == [
        f"{tmp_path} cannot be written: give another folder (--out, storage.out)"
    ]
