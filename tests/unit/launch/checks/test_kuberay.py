"""Manifests for KubeRay with a fault are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cluster.checks.kuberay import check_manifest
from support.launch_files import KUBERAY, copy_with_fault


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("raycluster.yaml", "mode: token", "mode: disabled", "authOptions.mode"),
        (
            "raycluster.yaml",
            "groupName: gpu",
            "groupName: gpu\n      replica: 1",
            "replica: Extra inputs",
        ),
        ("raycluster.yaml", 'num-cpus: "0"', 'num-cpus: "1"', "num-cpus"),
        ("raycluster.yaml", "2.60.0", "2.59.0", "rayVersion"),
        ("raycluster.yaml", "restartPolicy: Never", "restartPolice: Never", "restartPolice"),
        (
            "raycluster.yaml",
            "mountPath: /results",
            "mountPath: /elsewhere",
            "no volume claim is mounted at /results",
        ),
        (
            "raycluster.yaml",
            "env: [*home, *no_metrics]",
            "env: [*home]",
            "gpu: container ray-worker: RAY_enable_metrics_collection is not 0",
        ),
        (
            "raycluster.yaml",
            'RAY_enable_metrics_collection, value: "0"',
            'RAY_enable_metrics_collection, value: "1"',
            "head: container ray-head: RAY_enable_metrics_collection is not 0",
        ),
        (
            "raycluster.yaml",
            '- {name: DASHBOARD_METRIC_PORT, value: "-1"}',
            "",
            "head: container ray-head: DASHBOARD_METRIC_PORT is not -1",
        ),
        (
            "rayjob.yaml",
            '- {name: AUTOSCALER_METRIC_PORT, value: "-1"}',
            "",
            "head: container autoscaler: AUTOSCALER_METRIC_PORT is not -1",
        ),
        (
            "rayjob.yaml",
            "persistentVolumeClaim: {claimName: adaptune-results}",
            "emptyDir: {}",
            "gpu: no volume claim is mounted at /results",
        ),
        ("rayjob.yaml", "restartPolicy: Never", "", "submitter: restartPolicy is not Never"),
        ("rayjob.yaml", "runAsUser: 1000", "", "head: container ray-head: runAsUser is not"),
        ("rayjob.yaml", "apiVersion: ray.io/v1", "", "apiVersion or kind is missing"),
        ("results-pod.yaml", "activeDeadlineSeconds: 3600", "", "activeDeadlineSeconds is not set"),
        ("rayjob.yaml", "backoffLimit: 10", "backoff: 10", "backoffLimit: Field required"),
        ("rayjob.yaml", "version: v2", "version: v1", "autoscalerOptions.version"),
        ("rayjob-kueue.yaml", "secretName: adaptune-token", "", "authOptions.secretName"),
        (
            "rayjob-kueue.yaml",
            "enableInTreeAutoscaling: false",
            "enableInTreeAutoscaling: true",
            "autoscalerOptions must be set",
        ),
        ("results.yaml", "accessModes", "accessMode", "accessMode"),
        ("network.yaml", "policyTypes", "policyType", "policyType"),
    ],
)
def test_a_manifest_with_a_fault_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    manifest = copy_with_fault(KUBERAY / name, tmp_path, old, new)
    assert any(fault in message for message in check_manifest(manifest))


@pytest.mark.parametrize("name", ["rayjob.yaml", "rayjob-kueue.yaml"])
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "\n  activeDeadlineSeconds: 259200",
            "",
            "spec.activeDeadlineSeconds: Field required",
        ),
        (
            "\n      activeDeadlineSeconds: 259200",
            "",
            "activeDeadlineSeconds differs between the job and submitterPodTemplate",
        ),
        (
            "cluster/kuberay/rayjob.sh",
            "cluster/search.sh",
            "entrypoint: KubeRay retries bad input unless it is /cluster/kuberay/rayjob.sh",
        ),
        (
            "shutdownAfterJobFinishes: true",
            "shutdownAfterJobFinishes: false",
            "shutdownAfterJobFinishes is not true",
        ),
    ],
)
def test_a_job_that_could_hold_its_gpus_for_ever_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    manifest = copy_with_fault(KUBERAY / name, tmp_path, old, new)
    assert fault in list(check_manifest(manifest))


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("raycluster.yaml", ["head", "gpu"]),
        ("rayjob.yaml", ["head", "gpu", "submitter"]),
        ("rayjob-kueue.yaml", ["head", "gpu", "submitter"]),
        ("results-pod.yaml", ["adaptune-results"]),
    ],
)
def test_every_pod_of_a_manifest_is_checked(tmp_path: Path, name: str, pods: list[str]) -> None:
    manifest = copy_with_fault(KUBERAY / name, tmp_path, "type: RuntimeDefault", "type: Unconfined")
    messages = list(check_manifest(manifest))
    assert list(dict.fromkeys(message.partition(":")[0] for message in messages)) == pods
    assert all(message.endswith("seccompProfile is not RuntimeDefault") for message in messages)


def test_the_autoscaler_is_checked_as_a_container_of_the_head(tmp_path: Path) -> None:
    document = yaml.safe_load((KUBERAY / "raycluster.yaml").read_text())
    document["spec"]["autoscalerOptions"] |= {"securityContext": {}, "volumeMounts": []}
    manifest = tmp_path / "raycluster.yaml"
    manifest.write_text(yaml.safe_dump(document))
    assert list(check_manifest(manifest)) == [
        "head: container autoscaler: allowPrivilegeEscalation is not false",
        "head: container autoscaler: readOnlyRootFilesystem is not true",
        "head: container autoscaler: capabilities do not drop ALL",
        "head: container autoscaler: no emptyDir is mounted at /tmp",
        "head: container autoscaler: HOME is not in an emptyDir",
    ]


def test_a_pod_without_containers_is_refused(tmp_path: Path) -> None:
    document = yaml.safe_load((KUBERAY / "rayjob.yaml").read_text())
    document["spec"]["submitterPodTemplate"]["spec"]["containers"] = []
    manifest = tmp_path / "rayjob.yaml"
    manifest.write_text(yaml.safe_dump(document))
    assert list(check_manifest(manifest)) == ["submitter: containers is empty"]


@pytest.mark.parametrize("key", ["spec", "containers"])
def test_a_head_without_its_parts_is_refused(tmp_path: Path, key: str) -> None:
    document = yaml.safe_load((KUBERAY / "raycluster.yaml").read_text())
    template = document["spec"]["headGroupSpec"]["template"]
    template.get("spec" if key == "containers" else "", template).pop(key)
    manifest = tmp_path / "raycluster.yaml"
    manifest.write_text(yaml.safe_dump(document))
    assert list(check_manifest(manifest)) == ["head: Pod spec: 'containers' is a required property"]


def test_only_a_head_with_an_autoscaler_may_have_a_service_account(tmp_path: Path) -> None:
    kueue = KUBERAY / "rayjob-kueue.yaml"
    manifest = copy_with_fault(kueue, tmp_path, "automountServiceAccountToken: false", "")
    assert list(check_manifest(manifest)) == [
        "head: automountServiceAccountToken is not false",
        "gpu: automountServiceAccountToken is not false",
        "submitter: automountServiceAccountToken is not false",
    ]
