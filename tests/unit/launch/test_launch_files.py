"""cluster/ holds what `make cluster-check` asks for, and the check finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import check

RAY_UP = check.FOLDER / "ray-up"
KUBERAY = check.FOLDER / "kuberay"


def test_all_files_are_sound() -> None:
    assert check.diagnostics() == []


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
            "results are not mounted",
        ),
        (
            "raycluster.yaml",
            "env: [*quiet]",
            "env: []",
            "gpu: RAY_enable_metrics_collection is not set",
        ),
        ("rayjob.yaml", "backoffLimit: 10", "backoff: 10", "backoffLimit: Field required"),
        ("rayjob.yaml", "version: v2", "version: v1", "autoscalerOptions.version"),
        ("rayjob-kueue.yaml", "secretName: adaptune-token", "", "authOptions.secretName"),
        ("results.yaml", "accessModes", "accessMode", "accessMode"),
    ],
)
def test_a_spoilt_manifest_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    spoilt = _spoil(KUBERAY / name, tmp_path, old, new)
    assert any(fault in found for found in check.manifest_faults(spoilt))


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "on-prem.yaml"])
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("cluster_name", "cluster_nam", "cluster_nam"),
        ("RAY_AUTH_MODE=token", "", "without RAY_AUTH_MODE=token"),
        ("/.ray/auth_token:", "/.ray/elsewhere:", "no ~/.ray/auth_token"),
        ("--dashboard-host=127.0.0.1", "", "--dashboard-host=127.0.0.1"),
        ("--num-cpus=0", "", "--num-cpus=0"),
    ],
)
def test_a_spoilt_ray_up_file_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    spoilt = _spoil(RAY_UP / name, tmp_path, old, new)
    assert any(fault in found for found in check.ray_up_faults(spoilt))


def test_a_script_that_bash_cannot_read_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "broken.sh"
    script.write_text("#!/bin/bash\nif true; then\n")
    assert list(check.script_faults(script))


def test_listening_on_all_addresses_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "open.sh"
    script.write_text("ray start --head --dashboard-host=0.0.0.0\n")
    assert list(check.address_faults(script)) == [
        "line 1 listens everywhere: ray start --head --dashboard-host=0.0.0.0"
    ]


def test_figures_for_whoever_asks_are_refused(tmp_path: Path) -> None:
    for path in (
        RAY_UP / "aws.yaml",
        KUBERAY / "rayjob.yaml",
        check.FOLDER / "slurm" / "search.sbatch",
    ):
        spoilt = _spoil(path, tmp_path, "DASHBOARD_METRIC_PORT", "DASHBOARD_PORT")
        assert list(check.metrics_faults(spoilt)) == ["DASHBOARD_METRIC_PORT is not set"]


def _spoil(path: Path, folder: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    spoilt = folder / path.name
    spoilt.write_text(text.replace(old, new))
    return spoilt
