"""Scripts that start Ray in a folder of another user are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cluster.checks.scripts import (
    check_node_script,
    check_private_folder_script,
    check_rayjob_script,
    check_script,
    check_slurm_job,
)
from support.launch_files import FOLDER, KUBERAY, SLURM, copy_with_fault

PRIVATE_FOLDER = FOLDER / "private_folder.sh"


def test_a_script_that_bash_cannot_read_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "broken.sh"
    script.write_text("#!/bin/bash\nif true; then\n")
    assert list(check_script(script))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "srun --ntasks-per-node=1 cluster/slurm/node.sh ray",
            "srun --ntasks-per-node=1 ray",
            "srun without cluster/slurm/node.sh: srun --ntasks-per-node=1 ray symmetric-run",
        ),
        ("export RAY_TMPDIR=", "folder=", "RAY_TMPDIR is not set"),
        ("RAY_AUTH_MODE=token ", "", "no export RAY_AUTH_MODE=token"),
        ("umask 077", "umask 022", "no umask 077"),
        ("--dashboard-host=127.0.0.1", "--dashboard-host=$HEAD", "no --dashboard-host=127.0.0.1"),
    ],
)
def test_a_job_that_starts_ray_in_a_shared_folder_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    job = copy_with_fault(SLURM / "search.sbatch", tmp_path, old, new)
    messages = list(check_slurm_job(job))
    assert len(messages) == 1
    assert messages[0].startswith(fault)


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("!= 700", "== 0", ["accepts a folder that is open to others"]),
        ("! -d $folder ||", "", ["accepts a folder that is a file"]),
        (
            "mkdir -m 700",
            "mkdir -p -m 700",
            [
                "accepts a folder that is a link",
                "accepts a folder that is open to others",
            ],
        ),
        ("mkdir -m 700", "mkdir -m 755", ["refuses a folder that is its own"]),
        ("&& exit\n", "&& exit 1\n", ["refuses a folder that does not exist"]),
    ],
)
def test_a_script_that_accepts_the_folder_of_another_user_is_refused(
    tmp_path: Path, old: str, new: str, faults: list[str]
) -> None:
    script = copy_with_fault(PRIVATE_FOLDER, tmp_path, old, new)
    messages = list(check_private_folder_script(script))
    assert [message for message in messages if message in faults] == faults


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            '"$(dirname "$0")/../private_folder.sh" "$RAY_TMPDIR" || exit 1',
            'mkdir -p -m 700 "$RAY_TMPDIR"',
            "runs its command with a folder that is open to others",
        ),
        (
            '"$(dirname "$0")/../private_folder.sh" "$RAY_TMPDIR" || exit 1',
            'mkdir -m 777 "$RAY_TMPDIR" || exit 1',
            "does not run its command with a folder that only its user can enter",
        ),
        ("rm -rf", "echo", "does not remove its folder"),
    ],
)
def test_a_node_that_starts_ray_in_an_unsafe_folder_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    shutil.copy(PRIVATE_FOLDER, tmp_path)
    (tmp_path / "slurm").mkdir()
    script = copy_with_fault(SLURM / "node.sh", tmp_path / "slurm", old, new)
    assert fault in list(check_node_script(script))


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        (
            "!= 2 ]]",
            "!= 9 ]]",
            [
                "ends with 2 if the search ends with 2",
                "stops the job: False, if the search ends with 2",
            ],
        ),
        ("exit 0 #", "exit 1 #", ["ends with 1 if the search ends with 2"]),
        ('exit "$status"', "exit 0", ["ends with 0 if the search ends with 1"]),
        ('8265 "$job"', '8265 "another"', ["stops another job"]),
        ("ray job stop", "ray job status", ["stops the job: False, if the search ends with 2"]),
    ],
)
def test_a_job_that_is_retried_in_vain_is_refused(
    tmp_path: Path, old: str, new: str, faults: list[str]
) -> None:
    shutil.copy(FOLDER / "search.sh", tmp_path)
    (tmp_path / "kuberay").mkdir()
    script = copy_with_fault(KUBERAY / "rayjob.sh", tmp_path / "kuberay", old, new)
    assert list(check_rayjob_script(script)) == faults
