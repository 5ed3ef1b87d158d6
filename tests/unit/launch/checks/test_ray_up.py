"""Configurations for `ray up` with a fault are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.checks.ray_up import check_ray_up_config
from support.launch_files import RAY_UP, copy_with_fault

CLOUDS = ["aws.yaml", "gcp.yaml"]


@pytest.mark.parametrize("name", [*CLOUDS, "on-prem.yaml"])
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
def test_a_configuration_with_a_fault_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    config = copy_with_fault(RAY_UP / name, tmp_path, old, new)
    assert any(fault in message for message in check_ray_up_config(config))


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "adaptune:0.1.0\n",
            "adaptune:latest\n",
            "image adaptune:latest has neither a digest nor a tag other than latest",
        ),
        (
            "--user $(id -u):$(id -g)",
            "--user root",
            "docker.run_options has no --user $(id -u):$(id -g)",
        ),
        ("--cap-drop=ALL", "", "docker.run_options has no --cap-drop=ALL"),
        (
            "--security-opt=no-new-privileges",
            "",
            "docker.run_options has no --security-opt=no-new-privileges",
        ),
        (
            "--env RAY_AUTH_MODE=token",
            "--env RAY_AUTH_MODE=disabled",
            "docker.run_options has no --env RAY_AUTH_MODE=token",
        ),
        (
            "--volume /mnt/results:/results",
            "--volume /mnt/other:/results",
            "docker.run_options has no --volume /mnt/results:/results",
        ),
        (
            "sudo chown $(id -u):$(id -g) /mnt/results",
            "sudo chmod 777 /mnt/results",
            "initialization_commands: no chown $(id -u):$(id -g) /mnt/results",
        ),
    ],
)
def test_a_container_that_runs_as_root_or_moves_with_its_tag_is_refused(
    tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    config = copy_with_fault(RAY_UP / name, tmp_path, old, new)
    assert list(check_ray_up_config(config)) == [fault]


@pytest.mark.parametrize("name", [*CLOUDS, "on-prem.yaml"])
def test_machines_that_do_not_start_ray_are_refused(tmp_path: Path, name: str) -> None:
    config = copy_with_fault(RAY_UP / name, tmp_path, "ray start --address", "ray status --address")
    assert list(check_ray_up_config(config)) == [
        "head_start_ray_commands and worker_start_ray_commands do not start Ray once each"
    ]


def test_a_token_that_other_users_can_read_is_refused(tmp_path: Path) -> None:
    old = "chmod 600 ~/.ray/auth_token"
    config = copy_with_fault(RAY_UP / "on-prem.yaml", tmp_path, old, old.replace("600", "644"))
    assert list(check_ray_up_config(config)) == [f"setup_commands: no {old}"]


@pytest.mark.parametrize("new", ["", "MetadataOptions: {HttpTokens: optional}"])
def test_machines_with_imds_version_1_are_refused(tmp_path: Path, new: str) -> None:
    old = "MetadataOptions: {HttpTokens: required}"
    config = copy_with_fault(RAY_UP / "aws.yaml", tmp_path, old, new)
    assert list(check_ray_up_config(config)) == [
        "head: MetadataOptions does not require IMDSv2 (HttpTokens: required)",
        "gpu: MetadataOptions does not require IMDSv2 (HttpTokens: required)",
    ]


@pytest.mark.parametrize("key", ["id_ed25519", "id_rsa", "id_ecdsa_sk"])
def test_the_key_of_a_user_is_refused(tmp_path: Path, key: str) -> None:
    config = copy_with_fault(RAY_UP / "on-prem.yaml", tmp_path, "adaptune_cluster", key)
    assert list(check_ray_up_config(config)) == [
        f"auth.ssh_private_key: {key} is a personal key, which Ray would copy to the head"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cluster/private_folder.sh /tmp/adaptune-$USER &&", "true &&"),
        ("RAY_TMPDIR=/tmp/adaptune-$USER ", ""),
        ("RAY_TMPDIR=/tmp/adaptune-$USER ", "RAY_TMPDIR=/tmp/another "),
    ],
)
def test_sockets_in_a_folder_that_others_can_create_are_refused(
    tmp_path: Path, old: str, new: str
) -> None:
    config = copy_with_fault(RAY_UP / "on-prem.yaml", tmp_path, old, new)
    assert list(check_ray_up_config(config)) == [
        "head_start_ray_commands: ray start without a RAY_TMPDIR from private_folder.sh",
        "worker_start_ray_commands: ray start without a RAY_TMPDIR from private_folder.sh",
    ]
