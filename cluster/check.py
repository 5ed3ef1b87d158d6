"""Check the launch files of this folder without a cluster: `make cluster-check`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

FOLDER = Path(__file__).parent
CONSTRAINTS = FOLDER.parent / "constraints.txt"
METRICS = "RAY_enable_metrics_collection"
METRICS_VARIABLES = (METRICS, "AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")
# Trials must not run on the head, and its dashboard is reached through a tunnel.
HEAD_OPTIONS = {"--num-cpus=0", "--dashboard-host=127.0.0.1"}


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


class HeadGroup(Part):
    """The head's pod."""

    ray_start_params: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(Part):
    """A group of equal worker pods."""

    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    ray_start_params: dict[str, str]
    template: dict[str, Any]


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
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: int
    ray_cluster_spec: ClusterSpec


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


def check_manifest(path: Path) -> Iterator[str]:
    """Yield a message for each fault in a file of Kubernetes objects."""
    for document in yaml.safe_load_all(path.read_text()):
        if not str(document.get("apiVersion")).startswith("ray.io/"):
            yield from _check_kubernetes_schema(document)
            continue
        try:
            spec = _parse_cluster_spec(document)
        except ValidationError as error:
            for fault in error.errors():
                key = ".".join(map(str, fault["loc"]))
                yield f"{key}: {fault['msg']}"
            continue
        yield from _check_cluster_spec(spec)


def _parse_cluster_spec(document: dict[str, Any]) -> ClusterSpec:
    if document["kind"] == "RayCluster":
        return RayCluster.model_validate(document).spec
    return RayJob.model_validate(document).spec.ray_cluster_spec


def _check_cluster_spec(spec: ClusterSpec) -> Iterator[str]:
    ray_version = pinned_ray_version()
    if spec.ray_version != ray_version:
        yield f"rayVersion is {spec.ray_version}, but {CONSTRAINTS.name} pins {ray_version}"
    if spec.head_group_spec.ray_start_params.get("num-cpus") != "0":
        yield 'headGroupSpec: rayStartParams has no num-cpus: "0"'
    if spec.enable_in_tree_autoscaling != (spec.autoscaler_options is not None):
        yield "autoscalerOptions must be set if, and only if, enableInTreeAutoscaling is true"
    yield from _check_pod("head", spec.head_group_spec.template)
    for group in spec.worker_group_specs:
        yield from _check_pod(group.group_name, group.template)


def _check_pod(name: str, template: dict[str, Any]) -> Iterator[str]:
    # A template has a pod's fields, but Kubernetes validates them only as part of a whole pod.
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **template}
    for fault in _check_kubernetes_schema(pod):
        yield f"{name}: {fault}"
    mount_paths = set()
    for container in pod["spec"]["containers"]:
        mount_paths |= {mount["mountPath"] for mount in container.get("volumeMounts", [])}
        variables = {variable["name"] for variable in container.get("env", [])}
        if METRICS not in variables:
            yield f"{name}: {METRICS} is not set"
    if "/results" not in mount_paths:
        yield f"{name}: the results are not mounted"


def _check_kubernetes_schema(document: dict[str, Any]) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        key = ".".join(map(str, error.path))
        yield f"{document['kind']} {key}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def pinned_ray_version() -> str:
    """Return the version of Ray that constraints.txt pins, and thus the image's version."""
    match = re.search(r"^ray==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    return match[1] if match else "no version"


def check_ray_up_config(path: Path) -> Iterator[str]:
    """Yield a message for each fault in a file for `ray up`.

    Ray validates the file first. Then the token and the dashboard's address are checked.
    """
    # Ray takes seconds to import, and only this check needs it.
    from jsonschema import ValidationError as SchemaError
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(path.read_text())
    try:
        validate_config(prepare_config(config))
    except (SchemaError, ValueError) as error:
        yield str(error).splitlines()[0]
        return
    if not any(target.endswith("/.ray/auth_token") for target in config["file_mounts"]):
        yield "file_mounts has no ~/.ray/auth_token"
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        for command in config[key]:
            for fault in _check_ray_start(command):
                yield f"{key}: {fault}"


def _check_ray_start(command: str) -> Iterator[str]:
    if "ray start" not in command:
        return
    if "RAY_AUTH_MODE=token" not in command:
        yield "ray start without RAY_AUTH_MODE=token"
    if "--head" in command and not HEAD_OPTIONS.issubset(command.split()):
        yield "the head needs --num-cpus=0 and --dashboard-host=127.0.0.1"


def check_script(path: Path) -> Iterator[str]:
    """Yield the output of shellcheck, or of `bash -n` without it, if a shell script has faults."""
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    process = subprocess.run([*checker, str(path)], capture_output=True, text=True, check=False)
    if process.returncode:
        yield process.stdout + process.stderr


def check_addresses(path: Path) -> Iterator[str]:
    """Yield a message for each line that makes a server listen on all addresses."""
    # This file contains the addresses as search strings.
    if not path.is_file() or path.suffix == ".pyc" or path == Path(__file__):
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "0.0.0.0" in line or "host=::" in line:
            yield f"line {number} listens on all addresses: {line.strip()}"


def check_metrics(path: Path) -> Iterator[str]:
    """Yield a message for each variable that a file which starts Ray does not set.

    The variables switch off Ray's Prometheus metrics, which Ray serves on all addresses and
    without a token.
    """
    text = path.read_text()
    for name in METRICS_VARIABLES:
        if name not in text:
            yield f"{name} is not set"


CHECKS: list[tuple[str, Callable[[Path], Iterator[str]]]] = [
    ("kuberay/*.yaml", check_manifest),
    ("ray-up/*.yaml", check_ray_up_config),
    ("*.sh", check_script),
    ("slurm/*.sbatch", check_script),
    ("**/*", check_addresses),
    ("kuberay/ray*.yaml", check_metrics),
    ("ray-up/*.yaml", check_metrics),
    ("slurm/*", check_metrics),
    ("local/local_cluster.py", check_metrics),
]


def check_all(folder: Path = FOLDER) -> list[str]:
    """Return a message for each fault in the launch files of `folder`, with the file's path."""
    messages = []
    for pattern, check in CHECKS:
        for path in sorted(folder.glob(pattern)):
            messages += [f"{path.relative_to(folder)}: {fault}" for fault in check(path)]
    return messages


def main() -> int:
    """Print all faults and return the exit status: 1 if there are any, otherwise 0."""
    messages = check_all()
    if not messages:
        print("cluster: the launch files have no faults")
        return 0
    print("\n".join(messages))
    return 1


if __name__ == "__main__":
    sys.exit(main())
