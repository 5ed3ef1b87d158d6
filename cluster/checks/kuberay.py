"""Checks of manifests for Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import yaml
from cluster.checks.manifests import (
    ClusterSpec,
    JobSpec,
    Json,
    Pod,
    RayJob,
    is_for_kuberay,
    parse,
    pods_of,
)
from cluster.checks.pods import check_pod_security
from cluster.checks.text import (
    AUTOSCALER_METRICS,
    CONSTRAINTS,
    DASHBOARD_METRICS,
    METRICS,
    pinned_ray_version,
)
from pydantic import ValidationError

RAYJOB_SCRIPT = "/cluster/kuberay/rayjob.sh"
# Ray serves its metrics without a token.
WORKER_VARIABLES = {METRICS: "0"}
AUTOSCALER_VARIABLES = {AUTOSCALER_METRICS: "-1"}
HEAD_VARIABLES = WORKER_VARIABLES | AUTOSCALER_VARIABLES | {DASHBOARD_METRICS: "-1"}


def check_manifest(path: Path) -> Iterator[str]:
    """Yield a message for each fault in a file of Kubernetes objects."""
    for document in yaml.safe_load_all(path.read_text()):
        try:
            yield from _check_document(document)
        except ValidationError as error:
            for fault in error.errors():
                key = ".".join(map(str, fault["loc"]))
                yield f"{key}: {fault['msg']}"


def _check_document(document: Json) -> Iterator[str]:
    if not {"apiVersion", "kind"} <= document.keys():
        yield "apiVersion or kind is missing"
        return
    if not is_for_kuberay(document):
        yield from _check_kubernetes_schema(document)
        if document["kind"] == "Pod" and "activeDeadlineSeconds" not in document.get("spec", {}):
            yield "activeDeadlineSeconds is not set"
    else:
        manifest = parse(document)
        if isinstance(manifest, RayJob):
            yield from _check_job(manifest.spec)
            yield from _check_cluster(manifest.spec.ray_cluster_spec)
        else:
            yield from _check_cluster(manifest.spec)
    for pod in pods_of(document):
        for fault in _check_pod(pod):
            yield f"{pod.name}: {fault}"


def _check_job(spec: JobSpec) -> Iterator[str]:
    if RAYJOB_SCRIPT not in spec.entrypoint:
        yield f"entrypoint: KubeRay retries bad input unless it is {RAYJOB_SCRIPT}"
    if not spec.shutdown_after_job_finishes:
        yield "shutdownAfterJobFinishes is not true"
    submitter = spec.submitter_pod_template.get("spec", {})
    if submitter.get("activeDeadlineSeconds") != spec.active_deadline_seconds:
        yield "activeDeadlineSeconds differs between the job and submitterPodTemplate"


def _check_cluster(spec: ClusterSpec) -> Iterator[str]:
    ray_version = pinned_ray_version()
    if spec.ray_version != ray_version:
        yield f"rayVersion is {spec.ray_version}, but {CONSTRAINTS.name} pins {ray_version}"
    if spec.head_group_spec.ray_start_params.get("num-cpus") != "0":
        yield 'headGroupSpec: rayStartParams has no num-cpus: "0"'
    if spec.enable_in_tree_autoscaling != (spec.autoscaler_options is not None):
        yield "autoscalerOptions must be set if, and only if, enableInTreeAutoscaling is true"


def _check_pod(pod: Pod) -> Iterator[str]:
    # A template has a pod's fields, but Kubernetes validates them only as part of a whole pod.
    metadata = {"name": pod.name, "labels": pod.labels}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod.spec}
    faults = list(_check_kubernetes_schema(document))
    if faults:
        yield from faults
        return
    if not pod.spec["containers"]:
        yield "containers is empty"
        return
    if pod.spec.get("restartPolicy") != "Never":
        yield "restartPolicy is not Never"
    yield from check_pod_security(pod.spec, needs_api=pod.needs_api)
    if pod.runs_ray:
        yield from _check_ray_node(pod)


def _check_ray_node(pod: Pod) -> Iterator[str]:
    ray, *autoscaler = pod.spec["containers"]
    yield from _check_variables(ray, HEAD_VARIABLES if pod.is_head else WORKER_VARIABLES)
    for container in autoscaler:
        yield from _check_variables(container, AUTOSCALER_VARIABLES)
    claims = set()
    for volume in pod.spec.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            claims.add(volume["name"])
    mounts = ray.get("volumeMounts", [])
    if not any(mount["mountPath"] == "/results" and mount["name"] in claims for mount in mounts):
        yield "no volume claim is mounted at /results"


def _check_variables(container: Json, expected: dict[str, str]) -> Iterator[str]:
    values = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    for name, value in expected.items():
        if values.get(name) != value:
            yield f"container {container['name']}: {name} is not {value}"


def _check_kubernetes_schema(document: Json) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        key = ".".join(map(str, error.path))
        yield f"{document['kind']} {key}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message
