from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.storage import StorageSpec


def test_a_remote_must_be_a_uri() -> None:
    assert StorageSpec(remote="s3://bucket/results").remote == "s3://bucket/results"
    with pytest.raises(ValidationError, match="a folder goes into `out`"):
        StorageSpec(remote="/mnt/results")


@pytest.mark.parametrize("tree", [{"keep_checkpoints": 1}, {"checkpoint_budget_gb": 0}])
def test_too_little_room_for_checkpoints_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StorageSpec.model_validate(tree)
