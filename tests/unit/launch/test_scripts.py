"""The scripts that start a search, with stand-ins for what they call."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from cluster.check import FOLDER

# Says what it was called with, and what `ray symmetric-run` would find of the token.
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


def test_search_starts_or_goes_on(tmp_path: Path) -> None:
    settings = ["--space", "cycada.yaml", "--set", "search.trials=2"]
    command = [FOLDER / "search.sh", "out/night", *settings]
    said = subprocess.check_output(
        command, cwd=tmp_path, text=True, env=os.environ | {"PYTHON": "echo"}
    ).strip()
    assert said == f"run_search.py --resume-if-begun --out {tmp_path}/out --name night " + " ".join(
        settings
    )


def test_search_wants_a_folder() -> None:
    done = subprocess.run(
        [FOLDER / "search.sh", "--space", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage" in done.stderr


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job on two nodes."""
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


def test_slurm_runs_the_search_on_all_nodes_with_a_token_of_the_job(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    said = subprocess.check_output(JOB, env=slurm, text=True)
    assert (
        "ray symmetric-run --address 10.1.2.3:6379 --min-nodes 2 --num-cpus=8 --num-gpus=4" in said
    )
    assert re.search(
        "--name night --space cycada.yaml --address 10.1.2.3:6379$", said, re.MULTILINE
    )
    assert "token 600 64" in said
    assert "auth token unset" in said
    assert list((tmp_path / ".ray").iterdir()) == []


def test_slurm_job_has_the_status_of_the_search(slurm: dict[str, str]) -> None:
    assert (
        subprocess.run(
            JOB, env=slurm | {"SEARCH_STATUS": "2"}, capture_output=True, check=False
        ).returncode
        == 2
    )


def test_slurm_job_fails_where_ray_does_not_start(slurm: dict[str, str]) -> None:
    done = subprocess.run(
        JOB, env=slurm | {"NO_HEAD": "1"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "Ray did not start on 10.1.2.3: what it said is above\n",
    )


def test_slurm_job_is_queued_again_before_its_time_is_up(slurm: dict[str, str]) -> None:
    job = subprocess.Popen(JOB, env=slurm | {"SEARCH_S": "1"}, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    said = ""
    while "auth" not in said:  # the search runs
        said = job.stdout.readline()
    job.send_signal(signal.SIGUSR1)
    said, _ = job.communicate(timeout=20)
    assert "scontrol requeue 17" in said
    assert job.returncode == 0  # the search came to its end all the same
