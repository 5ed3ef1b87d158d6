"""Checks of the text of launch files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.checks.text import (
    check_addresses,
    check_dockerfile,
    check_image,
    check_metrics,
    pinned_ray_version,
)
from support.launch_files import FOLDER, KUBERAY, RAY_UP, SLURM, copy_with_fault

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("option", ["--dashboard-host=0.0.0.0", "--host=::"])
def test_a_server_that_listens_on_all_addresses_is_refused(tmp_path: Path, option: str) -> None:
    script = tmp_path / "open.sh"
    script.write_text(f"#!/bin/bash\nray start --head {option}\n")
    assert list(check_addresses(script)) == [
        f"line 2 listens on all addresses: ray start --head {option}"
    ]


@pytest.mark.parametrize(
    "path",
    [RAY_UP / "aws.yaml", KUBERAY / "rayjob.yaml", SLURM / "search.sbatch"],
    ids=lambda path: path.name,
)
def test_metrics_without_a_token_are_refused(tmp_path: Path, path: Path) -> None:
    config = copy_with_fault(path, tmp_path, "DASHBOARD_METRIC_PORT", "DASHBOARD_PORT")
    assert list(check_metrics(config)) == ["DASHBOARD_METRIC_PORT is not set"]


@pytest.mark.parametrize(
    "image",
    [
        "adaptune:0.1.0",
        "registry.example:5000/team/adaptune:0.1.0",
        f"adaptune@{DIGEST}",
        f"adaptune:latest@{DIGEST}",
    ],
)
def test_an_image_with_a_tag_or_a_digest_is_accepted(image: str) -> None:
    assert list(check_image(image)) == []


@pytest.mark.parametrize(
    "image", ["adaptune", "adaptune:latest", "registry.example:5000/team/adaptune"]
)
def test_an_image_that_changes_under_its_name_is_refused(image: str) -> None:
    assert list(check_image(image)) == [
        f"image {image} has neither a digest nor a tag other than latest"
    ]


def test_the_pinned_version_of_ray_is_a_release() -> None:
    major, minor, patch = pinned_ray_version().split(".")
    assert (int(major), int(minor)) >= (2, 60)
    assert patch.isdigit()


@pytest.mark.parametrize("new", ["", "USER root", "USER 0"])
def test_an_image_whose_containers_run_as_root_is_refused(tmp_path: Path, new: str) -> None:
    dockerfile = copy_with_fault(FOLDER / "Dockerfile", tmp_path, "USER ray", new)
    assert list(check_dockerfile(dockerfile)) == ["the last USER is root"]
