"""The scripts that start a search and that create folders, with fakes for what they call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.launch_files import FOLDER, KUBERAY

WAIT_S = 60.0
PRIVATE_FOLDER = FOLDER / "private_folder.sh"
# Records its arguments and stops the job, as Ray does: with a signal to the entrypoint.
RAY = '#!/bin/bash\necho "$*" > "$RECORD"\nkill -TERM $PPID\n'
RAY_WITHOUT_DASHBOARD = '#!/bin/bash\necho "$*" > "$RECORD"\nexit 1\n'


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


def run_rayjob(
    tmp_path: Path, status: int, ray: str = RAY
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the entrypoint of a RayJob; return it and the arguments of its call of `ray`.

    Args:
        status: exit status of the search.
    """
    programs = {"ray": ray, "python": f'#!/bin/bash\necho "$*"\nexit {status}\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    record = tmp_path / "record"
    metadata = {"job_submission_id": "adaptune-cycada-x7k2p", "job_name": "another"}
    job = {"runtime_env": {"env_vars": {"A": '"'}}, "metadata": metadata}
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(job),
        "RECORD": str(record),
    }
    environment.pop("PYTHON", None)
    command = [KUBERAY / "rayjob.sh", "/results/cycada", "--space", "cycada.yaml"]
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    return process, record.read_text() if record.exists() else ""


@pytest.mark.parametrize("status", [0, 1, 130])
def test_a_ray_job_has_the_status_of_its_search(tmp_path: Path, status: int) -> None:
    process, call = run_rayjob(tmp_path, status)
    assert process.returncode == status
    assert "--out /results --name cycada --space cycada.yaml" in process.stdout
    assert call == ""


def test_a_ray_job_with_bad_input_is_stopped_instead_of_retried(tmp_path: Path) -> None:
    process, call = run_rayjob(tmp_path, 2)
    assert call == ("job stop --no-wait --address http://127.0.0.1:8265 adaptune-cycada-x7k2p\n")
    assert process.returncode == -signal.SIGTERM
    assert "the search was refused, see above" in process.stderr


def test_a_ray_job_with_bad_input_that_cannot_be_stopped_does_not_fail(tmp_path: Path) -> None:
    process, call = run_rayjob(tmp_path, 2, RAY_WITHOUT_DASHBOARD)
    assert call.startswith("job stop")
    assert process.returncode == 0
    assert "the search was refused, see above" in process.stderr


def create_private_folder(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PRIVATE_FOLDER, folder], capture_output=True, text=True, check=False)


def test_a_private_folder_is_created_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    command = f"umask 0; '{PRIVATE_FOLDER}' '{folder}'"
    subprocess.run(["bash", "-c", command], check=True)
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert create_private_folder(folder).returncode == 0


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if os.geteuid() == 0:
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
    else:
        folder = Path("/root")
    process = create_private_folder(folder)
    assert process.returncode == 1
    assert process.stderr == (
        f"{folder} exists and is not a folder that only you can enter: remove it\n"
    )


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o777, 0o1700])
def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    assert create_private_folder(folder).returncode == 1


def test_a_link_is_refused_whatever_it_leads_to(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(own)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    assert create_private_folder(link).returncode == 1
    assert create_private_folder(dangling).returncode == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_whose_parent_is_missing_is_refused(tmp_path: Path) -> None:
    assert create_private_folder(tmp_path / "missing" / "folder").returncode == 1
