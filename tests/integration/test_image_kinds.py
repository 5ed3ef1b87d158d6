"""The whole chain on each kind of images: search, kill, resume, confirm, export, predict."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.image_kinds import KINDS, ImagePair
from support.real_ray import IN_PROCESS, Cluster, tail, trials_of, wait_for_cleanup, wait_until
from torchvision import models

from adaptune.artifacts.load import load_export

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
SCRIPT = Path(sys.executable).with_name("adaptune")


def settings_of(pair: ImagePair, cache: Path) -> dict[str, Any]:
    """Return the settings of a search of two short trials."""
    settings: dict[str, Any] = {"data__cache": cache, "search__trials": 2, **IN_PROCESS}
    for role, domain in (("source", pair.source), ("target", pair.target)):
        settings[f"data__{role}__domain"] = f'"{domain}"'
        settings[f"data__{role}__channels"] = 3
        settings[f"data__{role}__limit"] = "null"
        settings[f"data__{role}__crop"] = "null"
    return settings | pair.settings


def adaptune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_whole_chain(cluster: Cluster, tmp_path: Path, kind: str) -> None:
    check_chain(cluster, tmp_path, KINDS[kind](tmp_path), is_labelled=kind != "flat_target")


@pytest.mark.parametrize(("network", "size"), [("mobilenet_v3_small", 96), ("resnet50", 224)])
def test_the_whole_chain_with_a_backbone_from_a_file(
    cluster: Cluster, tmp_path: Path, network: str, size: int
) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(models.get_model(network).state_dict(), weights)
    settings = {
        "data__source__size": size,
        "data__target__size": size,
        "model__classifier": f"{{name: 'torchvision:{network}', weights: {weights}}}",
        "model__classifier__bottleneck": 8,
        "model__generator__factor": 8,
        "training__accumulate": 2,
        "training__steps_per_epoch": 2,
        "training__batch_size": 4,
        "training__source__batch_size": 4,
        "training__source__steps": 2,
    }
    pair = KINDS["image_lists"](tmp_path)
    check_chain(cluster, tmp_path, replace(pair, settings=settings), is_labelled=True)


def check_chain(cluster: Cluster, tmp_path: Path, pair: ImagePair, *, is_labelled: bool) -> None:
    """Search, kill, resume, confirm, export and predict."""
    settings = settings_of(pair, tmp_path / "cache")
    results = tmp_path / "s"
    driver = cluster.start(tmp_path, "s", output=tmp_path / "output", **settings)
    try:
        wait_until(
            lambda: driver.poll() is not None or has_epoch(results), "the first epoch of a trial"
        )
        assert driver.poll() is None, tail(tmp_path / "output")
        os.kill(driver.pid, signal.SIGKILL)
    finally:
        driver.kill()
        driver.wait()
    wait_for_cleanup(cluster)
    summary = cluster.search(tmp_path, "s", "--resume", **settings)
    assert summary["trials_total"] == 2
    assert summary["trials_failed"] == 0
    check_confirmation(cluster, results, is_labelled=is_labelled)
    check_export(pair, results, tmp_path)


def has_epoch(results: Path) -> bool:
    if not (results / "study.journal").exists():
        return False
    return any(trial.user_attrs for trial in trials_of(results))


def check_confirmation(cluster: Cluster, results: Path, *, is_labelled: bool) -> None:
    """Confirm the best configuration, or find out why that needs labels."""
    if is_labelled:
        assert "trial" in cluster.adaptune("confirm", results, "--top", "1", "--seeds", "2")
        return
    refused = adaptune("confirm", results, "--top", "1", "--seeds", "2")
    assert refused.returncode == 2
    assert "has no labels: nothing can be confirmed without a test" in refused.stderr


def check_export(pair: ImagePair, results: Path, folder: Path) -> None:
    """Export the best trial without any data, and predict target images."""
    assert load_export(results / "best").class_names == pair.class_names
    copies = folder / "copies"
    shutil.copytree(pair.images, copies)
    exported = adaptune("export", results, "--to", folder / "export")
    assert exported.returncode == 0, exported.stderr
    predicted = adaptune("predict", folder / "export", copies)
    assert predicted.returncode == 0, predicted.stderr
    rows = [line.split("\t") for line in predicted.stdout.splitlines()]
    assert len(rows) == sum(file.is_file() for file in copies.rglob("*"))
    assert {class_name for _, class_name, _ in rows} <= set(pair.class_names)
