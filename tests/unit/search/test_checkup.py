"""What is found amiss with a machine, and with the nodes of a cluster."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from adaptune.errors import ResourceError
from adaptune.search import checkup
from adaptune.search.checkup import check_nodes, machine, nodes
from adaptune.search.sight import Sight, look_around, versions
from adaptune.spec.schema import ResourcesSpec

SOUND = Sight(versions(), gpus=True, sees=True)
Cluster = dict[str, tuple[dict[str, float], Sight | None]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Of two sound nodes: the resources of each, and what a process there finds, None if there cannot be one."""
    found: Cluster = {name: ({"CPU": 4.0}, SOUND) for name in ("a", "b")}

    def trial_nodes(wish: ResourcesSpec) -> list[dict[str, Any]]:
        return [{"NodeID": n, "NodeManagerAddress": n, "Resources": has} for n, (has, _) in found.items()]

    monkeypatch.setattr(checkup, "trial_nodes", trial_nodes)
    monkeypatch.setattr(checkup, "_look_on", lambda node, mark: node["NodeID"])
    monkeypatch.setattr(checkup.ray, "wait", lambda pending, timeout: (pending, []))
    monkeypatch.setattr(checkup, "_sight", lambda look: (found[look][1], "no module"))
    return found


def told(folder: Path | None) -> str:
    said = io.StringIO()
    check_nodes(folder, ResourcesSpec(), Console(file=said, width=300))
    return said.getvalue()


def test_of_sound_nodes_nothing_is_said(cluster: Cluster, tmp_path: Path) -> None:
    assert told(tmp_path) == ""
    assert [finding.level for finding in nodes(tmp_path, ResourcesSpec())] == ["ok", "ok"]


def test_a_node_that_does_not_see_the_results_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster["b"] = {"CPU": 4.0}, replace(SOUND, sees=False)
    with pytest.raises(ResourceError, match=rf"node b does not see {tmp_path}: .*storage\.remote"):
        told(tmp_path)


def test_where_an_object_store_is_shared_no_folder_need_be(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0}, replace(SOUND, sees=False)
    assert told(None) == ""


def test_a_gpu_without_a_torch_for_it_is_refused(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0, "GPU": 1.0}, replace(SOUND, gpus=False)
    with pytest.raises(ResourceError, match="node b has a GPU, but a torch for CPUs"):
        told(None)


@pytest.mark.parametrize("built", [True, False])
def test_where_there_is_a_gpu_torch_is_asked_what_it_was_built_for(
    built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    assert look_around(None, has_gpus=True).gpus == built
    assert look_around(None, has_gpus=False).gpus


def test_other_versions_are_told_of(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0}, replace(SOUND, versions=SOUND.versions | {"torch": "1.13"})
    assert told(None) == f"node b has torch 1.13, this machine {SOUND.versions['torch']}\n"


def test_a_node_that_does_not_answer_is_told_of_and_a_cluster_refused(cluster: Cluster) -> None:
    cluster["b"] = {"CPU": 4.0}, None
    assert told(None) == "node b does not answer: is adaptune installed there? no module\n"
    cluster["a"] = {"CPU": 4.0}, None
    with pytest.raises(ResourceError, match="no node"):
        told(None)


def test_a_node_that_is_lost_meanwhile_is_no_fault(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(pending: list[str], timeout: float) -> tuple[list[str], list[str]]:
        cluster.pop("b")
        return pending, []

    monkeypatch.setattr(checkup.ray, "wait", wait)
    assert told(None) == ""


def test_a_node_sees_the_results_by_a_file_that_is_gone_after(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_look_on", lambda node, mark: look_around(mark, False))
    monkeypatch.setattr(checkup, "_sight", lambda look: (look, ""))
    assert told(tmp_path) == ""
    assert not list(tmp_path.iterdir())
    assert not look_around(str(tmp_path / "elsewhere"), False).sees


def test_a_machine_with_little_room_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "estimate_available_memory", lambda: 2e9)
    monkeypatch.setattr(checkup, "get_shared_memory_bytes", lambda: 64e6)
    warnings = [finding.said for finding in machine(tmp_path) if finding.level == "warning"]
    assert "2.0 GB of memory free, less than 6: take a smaller training.batch_size" in warnings
    assert "0.1 GB of shared memory (/dev/shm) free, less than 1: a container takes --shm-size=4g" in warnings


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.os, "access", lambda path, mode: False)  # the superuser may write anywhere
    faults = [finding.said for finding in machine(tmp_path) if finding.level == "fault"]
    assert faults == [f"{tmp_path} cannot be written: give another folder (--out, storage.out)"]
