"""Hardening of pods: the pod security standard "restricted", and what adaptune's pods add to it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ defines the standard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.checks.text import check_image

HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
# Volumes of other types reach the node's own files, or are no longer needed.
VOLUME_TYPES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# The standard restricts further keys, such as sysctls and procMount. No pod here needs them.
POD_CONTEXT_KEYS = {"runAsUser", "runAsGroup", "fsGroup", "runAsNonRoot", "seccompProfile"}
CONTAINER_CONTEXT_KEYS = {
    "allowPrivilegeEscalation",
    "capabilities",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
}
ADDABLE_CAPABILITIES = {"NET_BIND_SERVICE"}
SECCOMP_PROFILES = ("RuntimeDefault", "Localhost")


def check_pod_security(spec: dict[str, Any], *, needs_api: bool = False) -> Iterator[str]:
    """Yield a message for each way in which a pod could do more than adaptune needs.

    Args:
        spec: `spec` of the pod.
        needs_api: whether the pod calls the Kubernetes API and so needs a service account.
    """
    if not needs_api and spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not false"
    yield from _check_pod_level(spec)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        for fault in _check_container(container, spec):
            yield f"container {container['name']}: {fault}"


def _check_pod_level(spec: dict[str, Any]) -> Iterator[str]:
    for key in HOST_NAMESPACES:
        if spec.get(key):
            yield f"{key} is set"
    for volume in spec.get("volumes", []):
        for volume_type in volume.keys() - {"name"} - VOLUME_TYPES:
            yield f"volume {volume['name']} has the type {volume_type}"
    for key in spec.get("securityContext", {}).keys() - POD_CONTEXT_KEYS:
        yield f"securityContext.{key} is not needed"


def _check_container(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    yield from check_image(container.get("image", ""))
    yield from _check_own_context(container.get("securityContext", {}))
    yield from _check_inherited_context(
        spec.get("securityContext", {}) | container.get("securityContext", {})
    )
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']} is set"
    yield from _check_writable_folders(container, spec)


def _check_own_context(context: dict[str, Any]) -> Iterator[str]:
    """Check the keys that a container does not inherit from its pod."""
    for key in context.keys() - CONTAINER_CONTEXT_KEYS:
        yield f"securityContext.{key} is not needed"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities do not drop ALL"
    for capability in set(capabilities.get("add", [])) - ADDABLE_CAPABILITIES:
        yield f"capability {capability} is added"


def _check_inherited_context(context: dict[str, Any]) -> Iterator[str]:
    """Check the keys that a container inherits from its pod unless it sets them."""
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    # For a user that the image gives by name, Kubernetes cannot tell that it is not root.
    if not context.get("runAsUser"):
        yield "runAsUser is not the number of a user other than root"
    if context.get("seccompProfile", {}).get("type") not in SECCOMP_PROFILES:
        yield "seccompProfile is not RuntimeDefault"


def _check_writable_folders(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    """Check volumes: temporary files and the home folder must be in one of the pod's own."""
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"the pod has no volume {mount['name']}"
    temporary = {volume["name"] for volume in spec.get("volumes", []) if "emptyDir" in volume}
    writable = set()
    for mount in container.get("volumeMounts", []):
        if mount["name"] in temporary:
            writable.add(mount["mountPath"])
    if "/tmp" not in writable:
        yield "no emptyDir is mounted at /tmp"
    values = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    if values.get("HOME") not in writable:
        yield "HOME is not in an emptyDir"
