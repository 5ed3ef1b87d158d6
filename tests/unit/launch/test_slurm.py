"""The Slurm job, with fakes for Slurm's programs and for Ray.

The fakes cannot show what Slurm itself does: requeue a job, send a signal, run several nodes.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from support.launch_files import FOLDER, SLURM

WAIT_S = 60.0
# Runs the command on this machine as the only node of the job.
SRUN = """#!/bin/bash
echo "srun $*"
echo "$$" > "$HOME/srun.pid"
shift
exec "$@"
"""
# Ends the search and waits for its end, which then comes while the job handles its signal.
SCONTROL = """#!/bin/bash
echo "scontrol $*"
touch "$HOME/requeued"
while kill -0 "$(cat "$HOME/srun.pid")" 2> /dev/null; do sleep 0.05; done
"""
# Stands in for `ray symmetric-run`: reports what it would start Ray with, and runs the search.
RAY = """#!/bin/bash
stat --format="token %a %s" "$RAY_AUTH_TOKEN_PATH"
stat --format="folder %a" "$RAY_TMPDIR"
echo "auth ${RAY_AUTH_MODE-} ${RAY_AUTH_TOKEN-unset}"
[[ ${NO_HEAD-} ]] && exit 0
while [[ $1 != -- ]]; do shift; done
"${@:2}"
if [[ ${WAIT_FOR_REQUEUE-} ]]; then
    echo "the search waits"
    until [[ -e $HOME/requeued ]]; do sleep 0.05; done
fi
exit "${SEARCH_STATUS:-0}"
"""
FAKES = {"srun": SRUN, "scontrol": SCONTROL, "ray": RAY}
JOB = ["bash", str(SLURM / "search.sbatch"), "results/night", "--space", "cycada.yaml"]


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a job."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in FAKES.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    repository = tmp_path / "repository"
    repository.mkdir()
    # Without .venv, which the job would prefer to the fakes.
    (repository / "cluster").symlink_to(FOLDER)
    # The name of the folder for Ray's files contains the number of the job.
    job = f"{os.getpid()}-{tmp_path.name}"
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "HEAD": "10.1.2.3",
        "SLURM_SUBMIT_DIR": str(repository),
        "SLURM_JOB_ID": job,
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_GPUS_ON_NODE": "4",
        "RAY_AUTH_TOKEN": "of another cluster",
        "PYTHON": "echo",  # for search.sh
    }


def ray_folder(slurm: dict[str, str]) -> Path:
    return Path("/tmp") / f"adaptune-{slurm['SLURM_JOB_ID']}"


def run_job(slurm: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        JOB, env=slurm | variables, capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def test_the_search_runs_on_all_nodes_with_its_own_token(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    output = run_job(slurm).stdout
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


def test_rays_files_are_in_a_folder_for_the_job_alone(slurm: dict[str, str]) -> None:
    assert "folder 700" in run_job(slurm).stdout
    assert not ray_folder(slurm).exists()


def test_a_folder_that_others_can_write_to_is_not_used(slurm: dict[str, str]) -> None:
    folder = ray_folder(slurm)
    folder.mkdir()
    try:
        folder.chmod(0o777)
        process = run_job(slurm)
        assert process.returncode == 1
        assert f"{folder} exists and is not a folder that only you can enter" in process.stderr
        assert "auth" not in process.stdout
        assert folder.exists()
    finally:
        folder.rmdir()


def test_the_folder_of_an_earlier_run_of_the_job_is_used_again(slurm: dict[str, str]) -> None:
    folder = ray_folder(slurm)
    folder.mkdir(mode=0o700)
    (folder / "socket").touch()
    assert run_job(slurm).returncode == 0
    assert not folder.exists()


@pytest.mark.parametrize("status", [1, 2, 130])
def test_a_job_whose_search_ends_has_its_status_and_is_not_requeued(
    slurm: dict[str, str], status: int
) -> None:
    process = run_job(slurm, SEARCH_STATUS=str(status))
    assert process.returncode == status
    assert "scontrol" not in process.stdout
    assert not ray_folder(slurm).exists()


def test_a_job_fails_if_ray_does_not_start(slurm: dict[str, str]) -> None:
    process = run_job(slurm, NO_HEAD="1")
    assert process.returncode == 1
    assert process.stderr == "Ray did not start on 10.1.2.3: see its output above\n"


@pytest.mark.parametrize("status", [0, 3])
def test_a_job_is_requeued_before_its_time_limit(slurm: dict[str, str], status: int) -> None:
    environment = slurm | {"WAIT_FOR_REQUEUE": "1", "SEARCH_STATUS": str(status)}
    job = subprocess.Popen(
        JOB, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert job.stdout is not None
        while "the search waits" not in job.stdout.readline():
            assert job.poll() is None
        job.send_signal(signal.SIGUSR1)
        output, _ = job.communicate(timeout=WAIT_S)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert f"scontrol requeue {slurm['SLURM_JOB_ID']}" in output
    # The search went on after the signal and ended by itself.
    assert job.returncode == status
    assert not ray_folder(slurm).exists()


def test_a_node_whose_job_is_cancelled_removes_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    # As Slurm does, the signal is sent to the command and to the script that runs it.
    command = ["bash", str(SLURM / "node.sh"), "bash", "-c", "echo runs; exec sleep 600"]
    node = subprocess.Popen(
        command,
        env=os.environ | {"RAY_TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert node.stdout is not None
    assert node.stdout.readline() == "runs\n"
    assert folder.stat().st_mode & 0o777 == 0o700
    os.killpg(node.pid, signal.SIGTERM)
    node.communicate(timeout=WAIT_S)
    assert node.returncode == 128 + signal.SIGTERM
    assert not folder.exists()


MPS = """#!/bin/bash
echo "mps $* $(cat) in $CUDA_MPS_PIPE_DIRECTORY"
exit "${MPS_STATUS:-0}"
"""


def run_on_node(folder: Path, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a node of a job, where NVIDIA's MPS is a fake."""
    program = tmp_path / "nvidia-cuda-mps-control"
    program.write_text(MPS)
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(SLURM / "node.sh"), "bash", "-c", 'echo "runs ${CUDA_MPS_PIPE_DIRECTORY-}"'],
        env=os.environ | {"RAY_TMPDIR": str(folder), "PATH": path} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_processes_share_a_gpu_through_a_daemon_of_the_job_if_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    node = run_on_node(folder, tmp_path, ADAPTUNE_MPS="1")
    place = folder / "mps"
    lines = [f"mps -d  in {place}", f"runs {place}", f"mps  quit in {place}"]
    assert node.stdout.splitlines() == lines
    assert (node.returncode, folder.exists()) == (0, False)
    assert run_on_node(folder, tmp_path).stdout == "runs \n"


def test_a_node_without_the_daemon_that_was_asked_for_runs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    node = run_on_node(folder, tmp_path, ADAPTUNE_MPS="1", MPS_STATUS="3")
    assert "runs" not in node.stdout
    assert "submit the job without ADAPTUNE_MPS" in node.stderr
    assert (node.returncode, folder.exists()) == (1, False)
