"""Check the launch files of this folder without a cluster: `make cluster-check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster.checks.kuberay import check_manifest
from cluster.checks.network import check_network
from cluster.checks.ray_up import check_ray_up_config
from cluster.checks.scripts import (
    check_node_script,
    check_private_folder_script,
    check_rayjob_script,
    check_script,
    check_slurm_job,
)
from cluster.checks.text import check_addresses, check_dockerfile, check_metrics

FOLDER = Path(__file__).parent

CHECKS: list[tuple[str, Callable[[Path], Iterator[str]]]] = [
    ("kuberay/*.yaml", check_manifest),
    ("kuberay/*.yaml", check_network),
    ("kuberay/rayjob.sh", check_rayjob_script),
    ("ray-up/*.yaml", check_ray_up_config),
    ("Dockerfile", check_dockerfile),
    ("**/*.sh", check_script),
    ("slurm/*.sbatch", check_script),
    ("slurm/*.sbatch", check_slurm_job),
    ("slurm/node.sh", check_node_script),
    ("private_folder.sh", check_private_folder_script),
    ("**/*", check_addresses),
    ("kuberay/ray*.yaml", check_metrics),
    ("ray-up/*.yaml", check_metrics),
    ("slurm/*.sbatch", check_metrics),
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
