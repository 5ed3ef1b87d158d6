"""Checks of shell scripts. The scripts that guard a folder are run on folders to be refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SLURM_OPTIONS = (
    "export RAY_AUTH_MODE=token ",
    "umask 077\n",  # the token is created with this
    "--dashboard-host=127.0.0.1 ",
)
NODE_SCRIPT = "cluster/slurm/node.sh"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# Prints the mode of its folder.
PROBE = 'stat --format=%a "$RAY_TMPDIR"'


def check_script(path: Path) -> Iterator[str]:
    """Yield the output of shellcheck, or of `bash -n` without it, if a shell script has faults."""
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    process = subprocess.run([*checker, str(path)], capture_output=True, text=True, check=False)
    if process.returncode:
        yield process.stdout + process.stderr


def check_slurm_job(path: Path) -> Iterator[str]:
    """Yield a message for each way in which a Slurm job lets other users reach its Ray."""
    text = re.sub(r"\\\n", "", path.read_text())
    for line in text.splitlines():
        if line.startswith("srun ") and NODE_SCRIPT not in line:
            yield f"srun without {NODE_SCRIPT}: {line}"
    for option in SLURM_OPTIONS:
        if option not in text:
            yield f"no {option}"
    if "export RAY_TMPDIR=" not in text:
        yield "RAY_TMPDIR is not set: Ray's sockets would be in a folder of another user"


def check_private_folder_script(path: Path) -> Iterator[str]:
    """Yield a message for each kind of folder that the script should refuse but accepts."""
    for kind, prepare in PLANTED_FOLDERS.items():
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "folder"
            prepare(folder)
            if _run(path, str(folder)).returncode == 0:
                yield f"accepts a folder that is {kind}"
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "folder"
        for situation in ("does not exist", "is its own"):
            if _run(path, str(folder)).returncode:
                yield f"refuses a folder that {situation}"
        if folder.exists() and folder.stat().st_mode & 0o077:
            yield "creates a folder that others can enter"


def check_node_script(path: Path) -> Iterator[str]:
    """Yield a message if the script uses an unsafe folder, or does not remove its folder."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "folder"
        process = _run(path, "bash", "-c", PROBE, RAY_TMPDIR=str(folder))
        if process.stdout.strip() != "700":
            yield "does not run its command with a folder that only its user can enter"
        if folder.exists():
            yield "does not remove its folder"
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "folder"
        _plant_open_folder(folder)
        process = _run(path, "bash", "-c", PROBE, RAY_TMPDIR=str(folder))
        if process.stdout or process.returncode == 0:
            yield "runs its command with a folder that is open to others"


def check_rayjob_script(path: Path) -> Iterator[str]:
    """Yield a message if the entrypoint of a RayJob lets KubeRay retry a search in vain.

    The search and `ray` are fakes. This `ray` cannot stop the job, so that the script ends at once.
    """
    for status, expected in ((0, 0), (1, 1), (2, 0)):
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent)
            record = folder / "record"
            _write_program(folder / "search", f"exit {status}")
            _write_program(folder / "ray", f'echo "$*" > "{record}"; exit 1')
            process = _run(
                path,
                "results",
                PATH=f"{folder}:{SYSTEM_PATH}",
                PYTHON=str(folder / "search"),
                RAY_JOB_CONFIG_JSON_ENV_VAR='{"job_submission_id": "job-7"}',
            )
            if process.returncode != expected:
                yield f"ends with {process.returncode} if the search ends with {status}"
            is_stopped = record.exists() and "job stop" in record.read_text()
            if is_stopped != (status == 2):
                yield f"stops the job: {is_stopped}, if the search ends with {status}"
            if is_stopped and not record.read_text().endswith(" job-7\n"):
                yield "stops another job"


def _write_program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/bash\n{command}\n")
    path.chmod(0o755)


def _plant_link(folder: Path) -> None:
    target = folder.with_name("target")
    target.mkdir(mode=0o700)
    folder.symlink_to(target)


def _plant_open_folder(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)  # the umask does not apply


def _plant_file(folder: Path) -> None:
    folder.touch(mode=0o700)


PLANTED_FOLDERS: dict[str, Callable[[Path], None]] = {
    "a link": _plant_link,
    "open to others": _plant_open_folder,
    "a file": _plant_file,
}


def _run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": SYSTEM_PATH} | environment
    command = ["bash", str(script), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
