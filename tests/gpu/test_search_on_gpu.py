"""A search whose trials share a CUDA device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.real_ray import ROOT, SMALL, tail

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.ray,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("execution", ["ray_train", "in_process"])
def test_two_trials_at_a_time_share_a_gpu(execution: str, tmp_path: Path) -> None:
    settings = SMALL | {
        "execution": execution,
        "resources.workers_per_trial": 1,
        "resources.gpus_per_worker": 0.5,
        "resources.max_concurrent": 2,
        "training.precision": "bf16",
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    script = [
        sys.executable,
        str(ROOT / "run_search.py"),
        "--space",
        "cycada.yaml",
        "--trials",
        "4",
    ]
    done = subprocess.run(
        [*script, "--out", str(tmp_path), "--name", "s", *sets],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + tail(tmp_path / "s" / "ray.log")
    assert "2 trial(s) at a time" in done.stdout
    assert "0.5 GPU" in done.stdout
    summary = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert (summary["trials_total"], summary["trials_failed"]) == (4, 0)
