"""Pods that strangers can connect to are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cluster.checks.network import check_network
from support.launch_files import KUBERAY, copy_with_fault


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("policyTypes: [Ingress]", "policyTypes: [Egress]", "does not restrict incoming"),
        (
            "    - from:  # KubeRay's operator",
            "    - ports: [{port: 6379}]\n    - from:  # KubeRay's operator",
            "ingress rule 2 allows connections from everywhere",
        ),
        (
            "      ports:\n        - {protocol: TCP, port: 8265}\n",
            "",
            "ingress rule 2 allows all ports to pods of other namespaces",
        ),
        (
            "matchLabels: {app.kubernetes.io/component: kuberay-operator}",
            "matchLabels: {}",
            "ingress rule 2 names no labels of pods",
        ),
        (
            "        - namespaceSelector: {}\n",
            "        - namespaceSelector: {}\n        - ipBlock: {cidr: 10.0.0.0/8}\n",
            "ingress rule 2 names no labels of pods",
        ),
    ],
)
def test_a_policy_that_lets_strangers_connect_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    policy = copy_with_fault(KUBERAY / "network.yaml", tmp_path, old, new)
    assert any(fault in message for message in check_network(policy))


def test_the_policy_itself_is_accepted() -> None:
    assert list(check_network(KUBERAY / "network.yaml")) == []


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("raycluster.yaml", ["head", "gpu"]),
        ("rayjob.yaml", ["head", "gpu", "submitter"]),
        ("rayjob-kueue.yaml", ["head", "gpu", "submitter"]),
        ("results-pod.yaml", ["adaptune-results"]),
    ],
)
def test_pods_that_no_policy_selects_are_refused(
    tmp_path: Path, name: str, pods: list[str]
) -> None:
    shutil.copy(KUBERAY / "network.yaml", tmp_path)
    manifest = copy_with_fault(KUBERAY / name, tmp_path, "app: adaptune", "app: another")
    assert list(check_network(manifest)) == [
        f"{pod}: no NetworkPolicy selects its labels {{'app': 'another'}}" for pod in pods
    ]


def test_pods_without_a_policy_in_the_folder_are_refused(tmp_path: Path) -> None:
    manifest = Path(shutil.copy(KUBERAY / "rayjob.yaml", tmp_path))
    assert len(list(check_network(manifest))) == 3


def test_a_policy_that_separates_the_nodes_of_a_cluster_is_refused(tmp_path: Path) -> None:
    # The first rule would then admit other pods only, and the second one a single port.
    copy_with_fault(
        KUBERAY / "network.yaml",
        tmp_path,
        "- podSelector:\n            matchLabels: {app: adaptune}",
        "- podSelector:\n            matchLabels: {app: another}",
    )
    manifest = Path(shutil.copy(KUBERAY / "raycluster.yaml", tmp_path))
    assert list(check_network(manifest)) == [
        "head: its NetworkPolicy refuses connections from pods with its labels",
        "gpu: its NetworkPolicy refuses connections from pods with its labels",
    ]


def test_an_invalid_manifest_is_left_to_the_other_check(tmp_path: Path) -> None:
    manifest = copy_with_fault(KUBERAY / "rayjob.yaml", tmp_path, "backoffLimit", "backoff")
    assert list(check_network(manifest)) == []
