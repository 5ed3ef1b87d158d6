from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from adaptune.errors import SpecError
from adaptune.spec import load_spec
from adaptune.spec.storage import StorageSpec


def test_a_remote_must_be_a_uri() -> None:
    assert StorageSpec(remote="s3://bucket/results").remote == "s3://bucket/results"
    with pytest.raises(ValidationError, match="a folder goes into `out`"):
        StorageSpec(remote="/mnt/results")


@pytest.mark.parametrize("tree", [{"keep_checkpoints": 1}, {"checkpoint_budget_gb": 0}])
def test_too_little_room_for_checkpoints_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StorageSpec.model_validate(tree)


@pytest.mark.parametrize(
    ("key", "address", "remedy"),
    [
        ("study", "postgresql://bob:hunter2@host/db", r"~/\.pgpass .*PGPASSFILE"),
        ("study", "postgresql://host/db?password=hunter2", r"~/\.pgpass"),
        ("remote", "s3://KEY:hunter2@bucket/results", "AWS_ACCESS_KEY_ID .*AWS_PROFILE"),
        ("remote", "s3://bucket/results?secret_key=hunter2", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_an_address_with_a_secret_is_refused_without_showing_it(
    key: str, address: str, remedy: str, tmp_path: Path
) -> None:
    file = tmp_path / "space.yaml"
    text = f"""\
name: small
data:
  source: {{domain: mnist5k}}
  target: {{domain: optdigits}}
storage: {{{key}: "{address}"}}
"""
    file.write_text(text)
    with pytest.raises(SpecError, match=remedy) as caught:
        load_spec(file)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SpecError, match="must be a mapping") as caught:
        load_spec(file, [f"storage={address}"])
    assert "hunter2" not in str(caught.value)


def test_a_relative_database_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = StorageSpec(study="sqlite+pysqlite:///x/studies.db?timeout=3")
    resolved = f"sqlite+pysqlite:///{tmp_path}/x/studies.db?timeout=3"
    assert relative.resolved().study == resolved
    assert relative.resolved().resolved().study == resolved


@pytest.mark.parametrize(
    "study", [None, "sqlite://", "sqlite:///:memory:", "sqlite:////x.db", "postgresql://h/db"]
)
def test_other_databases_stay_as_they_are(study: str | None) -> None:
    assert StorageSpec(study=study).resolved().study == study
