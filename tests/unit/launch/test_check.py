"""`make cluster-check` passes, and reports the faults of all kinds of launch files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import check
from support.launch_files import copy_of_launch_files

# File, text to replace, replacement, and a part of the message.
FAULTS = [
    ("kuberay/rayjob.yaml", "drop: [ALL]", "drop: [KILL]", "capabilities do not drop ALL"),
    ("kuberay/rayjob-kueue.yaml", "  activeDeadlineSeconds: ", "  #", "activeDeadlineSeconds"),
    ("kuberay/raycluster.yaml", "app: adaptune", "app: another", "no NetworkPolicy selects"),
    ("kuberay/rayjob.sh", "127.0.0.1:8265", "0.0.0.0:8265", "listens on all addresses"),
    ("kuberay/rayjob.sh", "!= 2 ]]", "!= 9 ]]", "ends with 2 if the search ends with 2"),
    ("Dockerfile", "USER ray", "USER root", "the last USER is root"),
    ("ray-up/aws.yaml", "HttpTokens: required", "HttpTokens: optional", "IMDSv2"),
    ("ray-up/gcp.yaml", "adaptune:0.1.0", "adaptune:latest", "a tag other than latest"),
    ("ray-up/on-prem.yaml", "adaptune_cluster", "id_ed25519", "a personal key"),
    ("search.sh", "fi\n", "", "syntax error"),
    ("slurm/search.sbatch", "cluster/slurm/node.sh ", "", "srun without cluster/slurm/node.sh"),
    ("slurm/node.sh", "rm -rf", "true", "does not remove its folder"),
    ("private_folder.sh", "!= 700", "== 0", "accepts a folder that is open to others"),
    ("local/local_cluster.py", "DASHBOARD_METRIC_PORT", "PORT", "DASHBOARD_METRIC_PORT is not"),
]


def test_the_launch_files_have_no_faults() -> None:
    assert check.check_all() == []


def test_each_kind_of_file_is_checked(tmp_path: Path) -> None:
    folder = copy_of_launch_files(tmp_path)
    for name, old, new, _ in FAULTS:
        path = folder / name
        text = path.read_text()
        assert old in text, name
        path.write_text(text.replace(old, new))
    messages = check.check_all(folder)
    for name, _, _, fault in FAULTS:
        reported = [message for message in messages if message.startswith(f"{name}: ")]
        assert any(fault in message for message in reported), (name, messages)


def test_a_fault_is_printed_with_its_file_and_gives_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.sh").write_text("#!/bin/bash\nif true; then\n")
    messages = check.check_all(tmp_path)
    assert messages
    assert all(message.startswith("broken.sh: ") for message in messages)
    monkeypatch.setattr(check, "check_all", lambda: messages)
    assert check.main() == 1
    assert capsys.readouterr().out == "\n".join(messages) + "\n"
