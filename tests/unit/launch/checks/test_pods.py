"""Pods that could do more than they need are refused."""

from __future__ import annotations

from typing import Any

import pytest
from cluster.checks.pods import check_pod_security

Json = dict[str, Any]
NOT_ROOT = "runAsUser is not the number of a user other than root"


def container(**changes: Any) -> Json:
    """Return a container that the restricted standard accepts."""
    return {
        "name": "ray",
        "image": "adaptune:0.1.0",
        "env": [{"name": "HOME", "value": "/tmp"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    } | changes


def pod(*containers: Json, **changes: Any) -> Json:
    """Return the spec of a pod that the restricted standard accepts."""
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsUser": 1000,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": list(containers) or [container()],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    } | changes


def test_a_restricted_pod_is_accepted() -> None:
    assert list(check_pod_security(pod())) == []


def test_a_container_may_set_what_its_pod_does_not() -> None:
    context = container()["securityContext"] | pod()["securityContext"]
    spec = pod(container(securityContext=context), securityContext={})
    assert list(check_pod_security(spec)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"hostNetwork": True}, "hostNetwork is set"),
        ({"hostPID": True}, "hostPID is set"),
        ({"hostIPC": True}, "hostIPC is set"),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken is not false"),
        (
            {
                "volumes": [
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "node", "hostPath": {"path": "/"}},
                ]
            },
            "volume node has the type hostPath",
        ),
        (
            {"securityContext": pod()["securityContext"] | {"sysctls": []}},
            "securityContext.sysctls is not needed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pod_with_more_rights_is_refused(changes: Json, fault: str) -> None:
    assert list(check_pod_security(pod(**changes))) == [fault]


def test_a_pod_that_calls_the_api_may_have_a_service_account() -> None:
    spec = pod()
    del spec["automountServiceAccountToken"]
    assert list(check_pod_security(spec, needs_api=True)) == []
    assert list(check_pod_security(spec)) == ["automountServiceAccountToken is not false"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation is not false"),
        ({"allowPrivilegeEscalation": None}, "allowPrivilegeEscalation is not false"),
        ({"readOnlyRootFilesystem": False}, "readOnlyRootFilesystem is not true"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities do not drop ALL"),
        (
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}},
            "capability SYS_PTRACE is added",
        ),
        ({"privileged": True}, "securityContext.privileged is not needed"),
        ({"procMount": "Unmasked"}, "securityContext.procMount is not needed"),
        ({"runAsNonRoot": False}, "runAsNonRoot is not true"),
        ({"runAsUser": 0}, NOT_ROOT),
        ({"runAsUser": None}, NOT_ROOT),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile is not RuntimeDefault"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("key", ["containers", "initContainers"])
def test_a_container_with_more_rights_is_refused(changes: Json, fault: str, key: str) -> None:
    context = container()["securityContext"] | changes
    spec = pod(**{key: [container(securityContext=context)]})
    assert list(check_pod_security(spec)) == [f"container ray: {fault}"]


def test_a_container_that_inherits_root_is_refused() -> None:
    spec = pod(securityContext={"runAsUser": 0})
    assert list(check_pod_security(spec)) == [
        "container ray: runAsNonRoot is not true",
        f"container ray: {NOT_ROOT}",
        "container ray: seccompProfile is not RuntimeDefault",
    ]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        (
            {"ports": [{"containerPort": 80, "hostPort": 80}]},
            ["hostPort 80 is set"],
        ),
        ({"env": []}, ["HOME is not in an emptyDir"]),
        (
            {"volumeMounts": [{"name": "results", "mountPath": "/tmp"}]},
            [
                "the pod has no volume results",
                "no emptyDir is mounted at /tmp",
                "HOME is not in an emptyDir",
            ],
        ),
        ({"image": ""}, ["image  has neither a digest nor a tag other than latest"]),
        (
            {"image": "registry.example:5000/adaptune"},
            [
                "image registry.example:5000/adaptune has neither a digest"
                " nor a tag other than latest"
            ],
        ),
    ],
    ids=["host port", "home", "temporary files", "no image", "image"],
)
def test_a_container_that_needs_more_than_it_has_is_refused(
    changes: Json, faults: list[str]
) -> None:
    spec = pod(container(**changes))
    assert list(check_pod_security(spec)) == [f"container ray: {fault}" for fault in faults]
