from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptune.data.image_set import in_memory
from adaptune.data.splits import Splits, load_splits
from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import stored_class_names, stored_identity, write_or_verify
from adaptune.spec.data import DataSpec

DATA = {
    "source": {"domain": "mnist5k", "size": 16, "limit": 200},
    "target": {"domain": "optdigits", "size": 16},
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_splits(DataSpec.model_validate(DATA), seed=0)


def test_every_sample_is_written_down_with_its_part(splits: Splits, tmp_path: Path) -> None:
    write_or_verify(splits, ResultsFolder(tmp_path))
    rows = pq.read_table(tmp_path / "splits.parquet").to_pylist()
    assert len(rows) == 200 + 1797
    for part, indices in splits.indices.items():
        assert [row["index"] for row in rows if row["part"] == part] == indices.tolist()


def test_a_resume_with_the_same_data_changes_nothing(splits: Splits, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    assert write_or_verify(splits, folder) is None
    before = folder.splits.read_bytes()
    assert write_or_verify(splits, folder) is None
    assert folder.splits.read_bytes() == before


def test_the_class_names_are_kept_for_an_export(splits: Splits, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    with pytest.raises(ResultsError, match=r"splits\.parquet has no class names"):
        stored_class_names(folder)
    write_or_verify(splits, folder)
    assert stored_class_names(folder) == tuple("0123456789")


def test_the_identity_of_the_data_is_kept(splits: Splits, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    with pytest.raises(ResultsError, match=r"splits\.parquet cannot be read"):
        stored_identity(folder)
    write_or_verify(splits, folder)
    assert stored_identity(folder) == splits.identity


def test_a_resume_with_other_data_is_refused_and_says_what_differs(
    splits: Splits, tmp_path: Path
) -> None:
    write_or_verify(splits, ResultsFolder(tmp_path))
    source = replace(splits.identity.source, images="0", images_in_any_order="0")
    target = replace(splits.identity.target, labels="0")
    changed = replace(splits, identity=replace(splits.identity, source=source, target=target))
    expected = r"the images of the source, the labels or class names of the target\. New trials"
    with pytest.raises(ResultsError, match=expected):
        write_or_verify(changed, ResultsFolder(tmp_path))


def test_other_pixels_of_the_same_images_are_a_warning_of_one_line(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ResultsFolder(tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr(metadata, "version", lambda name: f"{name} of old")
        write_or_verify(splits, folder)
    images = splits.trial.target_val_images
    other = in_memory(images.take(np.arange(len(images))) ^ 1)
    changed = replace(splits, trial=replace(splits.trial, target_val_images=other))
    warning = write_or_verify(changed, folder)
    assert warning is not None
    assert warning.startswith(
        "the images are those of the start but are decoded to other pixels (pillow pillow of old → "
    )
    assert "\n" not in warning
    assert write_or_verify(splits, folder) is None


def test_a_table_of_another_version_is_refused(splits: Splits, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    pq.write_table(pa.table({"part": ["x"], "index": [0]}), folder.splits)
    with pytest.raises(ResultsError, match="has no identity of the data: another version"):
        write_or_verify(splits, folder)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nonsense" * 100])
def test_a_damaged_table_is_written_again_with_a_warning(
    content: bytes, splits: Splits, tmp_path: Path
) -> None:
    folder = ResultsFolder(tmp_path)
    folder.splits.write_bytes(content)
    warning = write_or_verify(splits, folder)
    assert warning is not None
    assert "was damaged and is written again" in warning
    assert write_or_verify(splits, folder) is None
