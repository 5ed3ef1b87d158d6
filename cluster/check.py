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
METRICS = ("RAY_enable_metrics_collection", "AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")


class Part(BaseModel):
    """A part of a manifest: of KubeRay's many keys those that our files use, and no other."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Part):
    name: str
    labels: dict[str, str] = {}


class AuthOptions(Part):
    mode: Literal["token"]
    secret_name: str


class AutoscalerOptions(Part):
    version: Literal["v2"]
    idle_timeout_seconds: int
    env: list[dict[str, str]]


class HeadGroup(Part):
    ray_start_params: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(Part):
    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    ray_start_params: dict[str, str]
    template: dict[str, Any]


class ClusterSpec(Part):
    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions | None = None
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class JobSpec(Part):
    entrypoint: str
    backoff_limit: int
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: int
    ray_cluster_spec: ClusterSpec


class RayCluster(Part):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJob(Part):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec


def manifest_faults(path: Path) -> Iterator[str]:
    """Of a file of Kubernetes objects."""
    for document in yaml.safe_load_all(path.read_text()):
        if not str(document.get("apiVersion")).startswith("ray.io/"):
            yield from _kubernetes_faults(document)
            continue
        try:
            if document["kind"] == "RayCluster":
                spec = RayCluster.model_validate(document).spec
            else:
                spec = RayJob.model_validate(document).spec.ray_cluster_spec
        except ValidationError as error:
            yield from (
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            continue
        yield from _cluster_faults(spec)


def _cluster_faults(spec: ClusterSpec) -> Iterator[str]:
    if spec.ray_version != image_ray_version():
        yield f"rayVersion is {spec.ray_version}, the image's {image_ray_version()}"
    if spec.head_group_spec.ray_start_params.get("num-cpus") != "0":
        yield 'headGroupSpec: rayStartParams has no num-cpus: "0"'
    if spec.enable_in_tree_autoscaling != (spec.autoscaler_options is not None):
        yield "autoscalerOptions belong to enableInTreeAutoscaling: true"
    templates = {"head": spec.head_group_spec.template}
    templates |= {group.group_name: group.template for group in spec.worker_group_specs}
    for name, template in templates.items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **template}
        yield from (f"{name}: {fault}" for fault in _kubernetes_faults(pod))
        mounts = [
            mount["mountPath"]
            for one in pod["spec"]["containers"]
            for mount in one.get("volumeMounts", [])
        ]
        if "/results" not in mounts:
            yield f"{name}: the results are not mounted"
        if any(
            METRICS[0] not in (one["name"] for one in made.get("env", []))
            for made in pod["spec"]["containers"]
        ):
            yield f"{name}: {METRICS[0]} is not set"


def _kubernetes_faults(document: dict[str, Any]) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{document['kind']} {'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def image_ray_version() -> str:
    found = re.search(r"ARG RAY_VERSION=(\S+)", (FOLDER / "Dockerfile").read_text())
    return found[1] if found else "unknown"


def ray_up_faults(path: Path) -> Iterator[str]:
    """Of a file for `ray up`: Ray's own check, then ours of the token and the dashboard."""
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
            if "ray start" not in command:
                continue
            if "RAY_AUTH_MODE=token" not in command:
                yield f"{key}: ray start without RAY_AUTH_MODE=token"
            if "--head" in command and not {"--num-cpus=0", "--dashboard-host=127.0.0.1"} <= set(
                command.split()
            ):
                yield f"{key}: the head needs --num-cpus=0 and --dashboard-host=127.0.0.1"


def script_faults(path: Path) -> Iterator[str]:
    """Of a shell script."""
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    done = subprocess.run([*checker, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stdout + done.stderr


def address_faults(path: Path) -> Iterator[str]:
    """Of any file but this one: nothing is to listen on all addresses."""
    if not path.is_file() or path.suffix == ".pyc" or path == Path(__file__):
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "0.0.0.0" in line or "host=::" in line:
            yield f"line {number} listens everywhere: {line.strip()}"


def metrics_faults(path: Path) -> Iterator[str]:
    """Of a file that starts Ray: its figures for Prometheus would be for whoever asks, on all addresses."""
    text = path.read_text()
    yield from (f"{name} is not set" for name in METRICS if name not in text)


CHECKS: list[tuple[str, Callable[[Path], Iterator[str]]]] = [
    ("kuberay/*.yaml", manifest_faults),
    ("ray-up/*.yaml", ray_up_faults),
    ("*.sh", script_faults),
    ("slurm/*.sbatch", script_faults),
    ("**/*", address_faults),
    *(
        (pattern, metrics_faults)
        for pattern in ("kuberay/ray*.yaml", "ray-up/*.yaml", "slurm/*", "local/nodes.py")
    ),
]


def diagnostics(folder: Path = FOLDER) -> list[str]:
    """Of all files."""
    return [
        f"{path.relative_to(folder)}: {fault}"
        for pattern, check in CHECKS
        for path in sorted(folder.glob(pattern))
        for fault in check(path)
    ]


def main() -> int:
    found = diagnostics()
    print("\n".join(found) or "cluster: all files are sound")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
