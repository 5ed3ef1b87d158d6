"""Manifests of KubeRay, and the pods that result from a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Part(BaseModel):
    """A part of a KubeRay manifest, with only those of KubeRay's keys that our files use."""

    # A misspelt key would otherwise show on a real cluster only.
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Part):
    """The name and labels of an object."""

    name: str
    labels: dict[str, str] = {}


class AuthOptions(Part):
    """Token authentication, with the token in a Secret."""

    mode: Literal["token"]
    secret_name: str


class AutoscalerOptions(Part):
    """Options of the autoscaler that runs in the head's pod."""

    version: Literal["v2"]
    idle_timeout_seconds: int
    env: list[dict[str, str]]
    security_context: Json
    volume_mounts: list[dict[str, str]]


class HeadGroup(Part):
    """The head's pod."""

    ray_start_params: dict[str, str]
    template: Json


class WorkerGroup(Part):
    """A group of equal worker pods."""

    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    ray_start_params: dict[str, str]
    template: Json


class ClusterSpec(Part):
    """A head and its groups of workers."""

    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions | None = None
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class JobSpec(Part):
    """A search, and the cluster that is created for it."""

    entrypoint: str
    backoff_limit: int
    active_deadline_seconds: int
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: int
    ray_cluster_spec: ClusterSpec
    submitter_pod_template: Json


class RayCluster(Part):
    """A manifest of a cluster that outlives its searches."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJob(Part):
    """A manifest of a search with its own cluster."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec


@dataclass(frozen=True)
class Pod:
    """A pod that Kubernetes runs for a manifest."""

    name: str
    template: Json
    runs_ray: bool = False
    is_head: bool = False
    needs_api: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The labels that network policies select it by."""
        labels: dict[str, str] = self.template.get("metadata", {}).get("labels", {})
        return labels

    @property
    def spec(self) -> Json:
        """The pod's containers, volumes and security context."""
        spec: Json = self.template.get("spec", {})
        return spec


def parse(document: Json) -> RayCluster | RayJob:
    """Return the content of a manifest of KubeRay.

    Raises:
        pydantic.ValidationError: a key is missing, unknown, or of the wrong type.
    """
    if document.get("kind") == "RayCluster":
        return RayCluster.model_validate(document)
    return RayJob.model_validate(document)


def is_for_kuberay(document: Json) -> bool:
    """Return whether a document is a manifest of KubeRay."""
    return str(document.get("apiVersion")).startswith("ray.io/")


def pods_of(document: Json) -> list[Pod]:
    """Return all pods that Kubernetes runs for a document.

    Raises:
        pydantic.ValidationError: the document is an invalid manifest of KubeRay.
    """
    if not is_for_kuberay(document):
        if document.get("kind") != "Pod":
            return []
        return [Pod(document.get("metadata", {}).get("name", "pod"), document)]
    manifest = parse(document)
    if isinstance(manifest, RayCluster):
        return _pods_of_cluster(manifest.spec)
    submitter = Pod("submitter", manifest.spec.submitter_pod_template)
    return [*_pods_of_cluster(manifest.spec.ray_cluster_spec), submitter]


def _pods_of_cluster(spec: ClusterSpec) -> list[Pod]:
    pods = [_head_pod(spec)]
    for group in spec.worker_group_specs:
        pods.append(Pod(group.group_name, group.template, runs_ray=True))
    return pods


def _head_pod(spec: ClusterSpec) -> Pod:
    template = spec.head_group_spec.template
    options = spec.autoscaler_options
    containers = template.get("spec", {}).get("containers", [])
    if options is None or not containers:
        return Pod("head", template, runs_ray=True, is_head=True)
    # KubeRay adds this container, and gives it the image of the first one.
    autoscaler = {
        "name": "autoscaler",
        "image": containers[0].get("image", ""),
        "env": options.env,
        "securityContext": options.security_context,
        "volumeMounts": options.volume_mounts,
    }
    pod_spec = template["spec"] | {"containers": [*containers, autoscaler]}
    return Pod("head", template | {"spec": pod_spec}, runs_ray=True, is_head=True, needs_api=True)
