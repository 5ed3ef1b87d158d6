"""The scripts that start a search, with fakes for the programs that they call."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from cluster.check import FOLDER

# Prints its arguments, and the token and variables that `ray symmetric-run` would get.
SRUN = """#!/bin/bash
echo "srun $*"
[[ $2 == mkdir ]] && "${@:2}"
if [[ $2 == ray ]]; then
    stat --format="token %a %s" "$RAY_AUTH_TOKEN_PATH"
    echo "auth ${RAY_AUTH_MODE-} ${RAY_AUTH_TOKEN-unset}"
    [[ ${NO_HEAD-} ]] && exit 0
    while [[ $1 != -- ]]; do shift; done
    cd "$REPOSITORY"
    "${@:2}"
    sleep "${SEARCH_S:-0}"
    exit "${SEARCH_STATUS:-0}"
fi
"""


def test_search_starts_or_resumes(tmp_path: Path) -> None:
    settings = ["--space", "cycada.yaml", "--set", "search.trials=2"]
    command = [FOLDER / "search.sh", "out/night", *settings]
    output = subprocess.check_output(
        command, cwd=tmp_path, text=True, env=os.environ | {"PYTHON": "echo"}
    )
    folder_options = f"--out {tmp_path}/out --name night"
    assert output.strip() == " ".join(
        ["run_search.py --resume-if-begun", folder_options, *settings]
    )


def test_search_needs_a_folder() -> None:
    process = subprocess.run(
        [FOLDER / "search.sh", "--space", "x"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert "usage" in process.stderr


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a job on two nodes."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"srun": SRUN, "scontrol": '#!/bin/bash\necho "scontrol $*"\n'}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    return os.environ | {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "HEAD": "10.1.2.3",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_GPUS_ON_NODE": "4",
        "RAY_AUTH_TOKEN": "of another cluster",
        "REPOSITORY": str(FOLDER.parent),
        "PYTHON": "echo",  # for search.sh
    }


JOB = ["bash", str(FOLDER / "slurm" / "search.sbatch"), "results/night", "--space", "cycada.yaml"]


def test_slurm_runs_the_search_on_all_nodes_with_its_own_token(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    output = subprocess.check_output(JOB, env=slurm, text=True)
    assert (
        "ray symmetric-run --address 10.1.2.3:6379 --min-nodes 2 --num-cpus=8 --num-gpus=4"
        in output
    )
    assert re.search(
        "--name night --space cycada.yaml --address 10.1.2.3:6379$", output, re.MULTILINE
    )
    assert "token 600 64" in output
    assert "auth token unset" in output
    assert list((tmp_path / ".ray").iterdir()) == []


def test_slurm_job_has_the_status_of_the_search(slurm: dict[str, str]) -> None:
    environment = slurm | {"SEARCH_STATUS": "2"}
    process = subprocess.run(JOB, env=environment, capture_output=True, check=False)
    assert process.returncode == 2


def test_slurm_job_fails_if_ray_does_not_start(slurm: dict[str, str]) -> None:
    process = subprocess.run(
        JOB, env=slurm | {"NO_HEAD": "1"}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert process.stderr == "Ray did not start on 10.1.2.3: see its output above\n"


def test_slurm_job_is_requeued_before_its_time_limit(slurm: dict[str, str]) -> None:
    job = subprocess.Popen(JOB, env=slurm | {"SEARCH_S": "1"}, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    line = ""
    while "auth" not in line:  # the search has not started yet
        line = job.stdout.readline()
    job.send_signal(signal.SIGUSR1)
    output, _ = job.communicate(timeout=20)
    assert "scontrol requeue 17" in output
    assert job.returncode == 0  # the search ended by itself
