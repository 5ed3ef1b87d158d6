"""The findings on a machine, and on the nodes of a cluster."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.exceptions import GetTimeoutError, RayError

from adaptune.cluster import doctor
from adaptune.cluster.doctor import Finding, check_machine, check_nodes, require_healthy_nodes
from adaptune.cluster.node_probe import NodeProbe, versions
from adaptune.cluster.nodes import ClusterNode, NodeSelector
from adaptune.errors import ResourceError
from adaptune.spec.resources import ResourcesSpec, WorkerResources

HEALTHY = NodeProbe(versions(), torch_supports_cuda=None, storage_error=None)
CRASHED = RayError("the process died\nNo module named 'adaptune'")
ON_CPUS = WorkerResources(1, 1, 0.0)
ON_GPUS = WorkerResources(1, 1, 1.0)
CPUS = {"CPU": 4.0}
GPU = {"CPU": 4.0, "GPU": 1.0}
ALL_NODES = ResourcesSpec()
NODE_ID = "00" * 28


@dataclass
class FakeNode:
    """A node and what its probe comes to; None never does."""

    resources: dict[str, float] = field(default_factory=lambda: CPUS)
    probe: NodeProbe | RayError | None = HEALTHY


Nodes = dict[str, FakeNode]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """The nodes of the cluster, by their names: two healthy ones."""
    fake_nodes = {name: FakeNode() for name in ("a", "b")}

    def trial_nodes(selector: NodeSelector) -> list[ClusterNode]:
        return [ClusterNode(name, name, node.resources) for name, node in fake_nodes.items()]

    def get(name: str, timeout: float) -> NodeProbe:
        probe = fake_nodes[name].probe
        if probe is None:
            raise GetTimeoutError
        if isinstance(probe, RayError):
            raise probe
        return probe

    def start_probe(node: ClusterNode, probe_file: str | None, *, check_torch: bool) -> str:
        return node.node_id

    monkeypatch.setattr(doctor, "trial_nodes", trial_nodes)
    monkeypatch.setattr(doctor, "_start_probe", start_probe)
    monkeypatch.setattr(doctor.ray, "wait", lambda pending, num_returns, timeout: (pending, []))
    monkeypatch.setattr(doctor.ray, "get", get)
    monkeypatch.setattr(doctor.ray, "cancel", lambda task, force: None)
    return fake_nodes


def warnings(folder: Path | None = None) -> list[str]:
    findings = require_healthy_nodes(folder, ON_CPUS)
    assert {finding.level for finding in findings} <= {"warning"}
    return [finding.message for finding in findings]


@pytest.mark.usefixtures("nodes")
def test_healthy_nodes_give_no_warning_and_keep_no_file(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []
    findings = list(check_nodes(tmp_path, ALL_NODES))
    assert findings == [Finding("ok", f"node {name}: 4 CPUs, 0 GPUs") for name in "ab"]
    assert not list(tmp_path.iterdir())


def test_a_node_that_cannot_write_the_results_refuses_a_search(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes["b"].probe = replace(HEALTHY, storage_error="Permission denied")
    with pytest.raises(
        ResourceError, match=rf"node b cannot write to {tmp_path} \(Permission denied\): .*remote"
    ):
        warnings(tmp_path)


def test_a_gpu_without_a_torch_for_it_refuses_a_search(nodes: Nodes) -> None:
    nodes["b"] = FakeNode(GPU, replace(HEALTHY, torch_supports_cuda=False))
    with pytest.raises(ResourceError, match="node b has a GPU but a CPU-only torch"):
        warnings()


def test_a_refusal_has_the_warnings_too(nodes: Nodes) -> None:
    nodes["a"].probe = None
    nodes["b"].probe = replace(HEALTHY, storage_error="Permission denied")
    with pytest.raises(ResourceError) as caught:
        warnings()
    first, second = str(caught.value).splitlines()
    assert first == "node a did not answer within 120 s"
    assert second.startswith("node b cannot write")


def test_a_node_without_room_for_a_worker_is_not_checked(nodes: Nodes) -> None:
    nodes["a"].probe = replace(HEALTHY, storage_error="not there")
    nodes["b"].resources = GPU
    findings = list(check_nodes(None, ALL_NODES, ON_GPUS))
    assert [finding.message for finding in findings] == ["node b: 4 CPUs, 1 GPUs"]


def test_other_versions_are_a_warning(nodes: Nodes) -> None:
    nodes["b"].probe = replace(HEALTHY, versions=HEALTHY.versions | {"torch": "1.13"})
    this_machine = HEALTHY.versions["torch"]
    assert warnings() == [f"node b has torch 1.13, this machine has {this_machine}"]


def test_a_node_without_adaptune_is_a_warning_and_a_cluster_without_it_is_refused(
    nodes: Nodes,
) -> None:
    nodes["b"].probe = CRASHED
    warning = "node b: is adaptune installed there? No module named 'adaptune'"
    assert warnings() == [warning]
    nodes["a"].probe = CRASHED
    with pytest.raises(ResourceError, match=re.escape(warning)) as caught:
        warnings()
    assert "adaptune could not start a process on any node of the cluster" in str(caught.value)


def test_slow_nodes_are_a_warning(nodes: Nodes) -> None:
    nodes["a"].probe = nodes["b"].probe = None
    assert warnings() == [f"node {name} did not answer within 120 s" for name in "ab"]


def test_slow_nodes_are_waited_for_once_and_their_probes_cancelled(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts_s: list[float] = []
    cancelled: list[str] = []

    def wait(pending: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        timeouts_s.append(timeout)
        finished = [name for name in pending if nodes[name].probe is not None]
        return finished, [name for name in pending if name not in finished]

    nodes["b"].probe = None
    monkeypatch.setattr(doctor.ray, "wait", wait)
    monkeypatch.setattr(doctor.ray, "cancel", lambda task, force: cancelled.append(task))
    assert warnings() == ["node b did not answer within 120 s"]
    assert timeouts_s == [120.0]  # for all nodes together
    assert cancelled == ["b"]


def test_a_node_that_is_lost_meanwhile_is_no_fault(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes["b"].probe = None
    monkeypatch.setattr(doctor.ray, "cancel", lambda task, force: nodes.pop("b"))
    assert warnings() == []


def test_a_cluster_whose_nodes_are_all_gone_now_is_no_fault(nodes: Nodes) -> None:
    nodes.clear()
    assert warnings() == ["the cluster has no node with room for a worker now"]


@pytest.mark.usefixtures("nodes")
def test_a_folder_on_a_full_disk_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", full)
    message = f"{tmp_path} is not writable: No space left on device"
    assert list(check_nodes(tmp_path, ALL_NODES)) == [Finding("fault", message)]


@pytest.mark.parametrize(
    ("resources", "has_gpu", "checked"),
    [(ON_GPUS, True, True), (ON_GPUS, False, False), (ON_CPUS, True, False), (None, True, True)],
)
def test_torch_is_checked_on_nodes_whose_gpus_are_used(
    resources: WorkerResources | None,
    has_gpu: bool,
    checked: bool,
    nodes: Nodes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks: list[bool] = []

    def start_probe(node: ClusterNode, probe_file: str | None, *, check_torch: bool) -> str:
        checks.append(check_torch)
        return node.node_id

    nodes.clear()
    nodes["a"] = FakeNode(GPU if has_gpu else CPUS)
    monkeypatch.setattr(doctor, "_start_probe", start_probe)
    if resources == ON_GPUS and not has_gpu:  # it has no room for a worker
        monkeypatch.setattr(doctor, "worker_slots", lambda *_: 1)
    list(check_nodes(None, ALL_NODES, resources))
    assert checks == [checked]


def test_a_probe_runs_on_its_node_without_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    task = SimpleNamespace(
        remote=lambda *arguments, **keywords: calls.append((arguments, keywords))
    )

    def options(**keywords: Any) -> SimpleNamespace:
        calls.append(keywords)
        return task

    monkeypatch.setattr(doctor.ray, "remote", lambda _: SimpleNamespace(options=options))
    doctor._start_probe(ClusterNode(NODE_ID, "10.0.0.1", GPU), "/results/probe", check_torch=True)
    keywords, call = calls
    affinity = keywords.pop("scheduling_strategy")
    assert (affinity.node_id, affinity.soft) == (NODE_ID, False)
    assert keywords == {"num_cpus": 0, "max_retries": 0}
    assert call == (("/results/probe",), {"check_torch": True})


def test_a_machine_with_little_space_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 2 * 10**9)
    monkeypatch.setattr(doctor, "free_shared_memory_bytes", lambda: 64 * 10**6)
    findings = check_machine(tmp_path)
    messages = [finding.message for finding in findings if finding.level == "warning"]
    assert "2.0 GB of memory free, less than 8 GB: use a smaller training.batch_size" in messages
    assert (
        "64.0 MB of shared memory (/dev/shm) free, less than 1 GB: start the container with"
        " --shm-size=4g"
    ) in messages


def test_a_machine_with_enough_space_is_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_memory_bytes", lambda: 8e9)
    usage = SimpleNamespace(free=20e9)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    findings = list(check_machine(tmp_path))
    assert Finding("ok", "8.0 GB of memory free") in findings
    assert Finding("ok", f"20.0 GB of disk at {tmp_path} free") in findings


def test_a_machine_lists_its_cpus_and_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "local_cpus", lambda: 6)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"H{index}")
    assert Finding("ok", "6 CPUs; GPUs: H0, H1") in list(check_machine(tmp_path))


def test_a_folder_that_is_not_writable_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by its mode: the superuser may write anywhere.
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    faults = [finding for finding in check_machine(tmp_path) if finding.level == "fault"]
    message = f"{tmp_path} is not writable: use another folder (--out, storage.out)"
    assert faults == [Finding("fault", message)]
