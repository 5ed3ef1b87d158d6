"""The death or the stop of a process to which Tune has given its next trial."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.real_ray import ROOT, SEARCH_TIMEOUT_S, Cluster

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
SCRIPT = ROOT / "tests/support/signal_between_trials.py"


@pytest.mark.parametrize("signal_name", ["SIGSTOP", "SIGKILL"])
def test_another_process_takes_the_trial(
    cluster: Cluster, tmp_path: Path, signal_name: str
) -> None:
    search = subprocess.run(
        [sys.executable, str(SCRIPT), cluster.address, str(tmp_path / "search"), signal_name],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=SEARCH_TIMEOUT_S,
        check=False,
    )
    assert search.returncode == 0, search.stderr
    assert search.stdout.splitlines()[-3:] == ["2", "2", "2"]  # epochs of each trial
    assert (tmp_path / "search/met").exists()
