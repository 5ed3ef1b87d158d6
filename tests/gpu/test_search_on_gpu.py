"""A search whose trials share a CUDA device."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch
from support.real_ray import SEARCH_TIMEOUT_S, search_command, tail

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.ray,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("execution", ["ray_train", "in_process"])
def test_two_trials_at_a_time_share_a_gpu(execution: str, tmp_path: Path) -> None:
    command = search_command(
        tmp_path,
        "s",
        "--trials",
        "4",
        execution=execution,
        resources__workers_per_trial=1,
        resources__gpus_per_worker=0.5,
        resources__max_concurrent=2,
        training__precision="bf16",
    )
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=SEARCH_TIMEOUT_S, check=False
    )
    log = tail(tmp_path / "s" / "ray.log")
    assert process.returncode == 0, process.stdout + process.stderr + log
    assert "2 trial(s) at a time" in process.stdout
    assert "0.5 GPU" in process.stdout
    summary = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert (summary["trials_total"], summary["trials_failed"]) == (4, 0)
