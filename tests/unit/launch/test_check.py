"""The launch files pass `make cluster-check`, and the check finds faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import check

RAY_UP = check.FOLDER / "ray-up"
KUBERAY = check.FOLDER / "kuberay"


def test_the_launch_files_have_no_faults() -> None:
    assert check.check_all() == []


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
            "env: [*no_metrics]",
            "env: []",
            "gpu: RAY_enable_metrics_collection is not set",
        ),
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
    ],
)
def test_a_manifest_with_a_fault_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    manifest = _copy_with_fault(KUBERAY / name, tmp_path, old, new)
    assert any(fault in message for message in check.check_manifest(manifest))


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
def test_a_ray_up_file_with_a_fault_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    config = _copy_with_fault(RAY_UP / name, tmp_path, old, new)
    assert any(fault in message for message in check.check_ray_up_config(config))


def test_a_script_that_bash_cannot_read_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "broken.sh"
    script.write_text("#!/bin/bash\nif true; then\n")
    assert list(check.check_script(script))


def test_listening_on_all_addresses_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "open.sh"
    script.write_text("ray start --head --dashboard-host=0.0.0.0\n")
    assert list(check.check_addresses(script)) == [
        "line 1 listens on all addresses: ray start --head --dashboard-host=0.0.0.0"
    ]


@pytest.mark.parametrize(
    "path",
    [RAY_UP / "aws.yaml", KUBERAY / "rayjob.yaml", check.FOLDER / "slurm" / "search.sbatch"],
    ids=lambda path: path.name,
)
def test_metrics_without_a_token_are_refused(tmp_path: Path, path: Path) -> None:
    config = _copy_with_fault(path, tmp_path, "DASHBOARD_METRIC_PORT", "DASHBOARD_PORT")
    assert list(check.check_metrics(config)) == ["DASHBOARD_METRIC_PORT is not set"]


def test_a_fault_is_printed_with_its_file_and_gives_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "search.sbatch").write_text("#!/bin/bash\nif true; then\n")
    messages = check.check_all(tmp_path)
    assert all(message.startswith("slurm/search.sbatch: ") for message in messages)
    monkeypatch.setattr(check, "check_all", lambda: messages)
    assert check.main() == 1
    assert capsys.readouterr().out == "\n".join(messages) + "\n"


def _copy_with_fault(path: Path, folder: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new))
    return copy
