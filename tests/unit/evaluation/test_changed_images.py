from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.data.image_set import ImageSet, in_memory
from adaptune.evaluation.changed_images import (
    MOST_SHOWN,
    ChangedImage,
    ChangedImages,
    find_changed_images,
    read_changed_images,
    write_changed_images,
)
from adaptune.results.folder import FORMAT_KEY
from adaptune.results.image_strips import image_strip
from adaptune.training.metrics import Predictions

NAMES = ("cat", "dog", "owl")
CHANGED = ChangedImages("trial 1, epoch 2", 7, 0, (ChangedImage(3, "cat", "cat", "dog", b"png"),))


def predictions(predicted: list[int], labels: list[int]) -> Predictions:
    return Predictions(np.eye(3)[predicted], np.array(labels), NAMES)


def random_images(count: int) -> ImageSet:
    random = np.random.default_rng(0)
    return in_memory(random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8))


def test_images_that_became_wrong_or_right_are_found_with_their_classes() -> None:
    labels = [0, 1, 2, 1, 0]
    before = predictions([0, 2, 2, 0, 1], labels)
    after = predictions([1, 1, 2, 2, 0], labels)  # image 3 stays wrong, image 2 stays right
    images = random_images(5)
    changed = find_changed_images("trial 1, epoch 2", before, after, images)
    assert (changed.model, changed.became_wrong, changed.became_right) == ("trial 1, epoch 2", 1, 2)
    found = [(image.index, image.label, image.before, image.after) for image in changed.images]
    assert found == [
        (0, "cat", "cat", "dog"),
        (4, "cat", "dog", "cat"),
        (1, "dog", "owl", "dog"),
    ]
    assert [image.is_right for image in changed.images] == [False, True, True]
    for image in changed.images:
        assert image.picture == image_strip([images.take(np.array([image.index]))[0]])


def test_a_few_images_of_each_kind_are_kept_from_all_classes() -> None:
    labels = [0] * 60 + [1] * 3 + [2] * 40
    wrong = [(label + 1) % 3 for label in labels]
    before, after = predictions(labels, labels), predictions(wrong, labels)
    images = random_images(len(labels))
    changed = find_changed_images("a model", before, after, images)
    assert (changed.became_wrong, changed.became_right) == (103, 0)
    assert len(changed.images) == MOST_SHOWN
    counts = [sum(image.label == name for image in changed.images) for name in NAMES]
    assert counts == [5, 3, 4]
    indices = [image.index for image in changed.images]
    assert indices == [0, 1, 2, 3, 4, 60, 61, 62, 63, 64, 65, 66]  # the first ones of each class
    reverse = find_changed_images("a model", after, before, images)
    assert [image.index for image in reverse.images] == indices


def test_without_a_change_there_are_no_images() -> None:
    same = predictions([0, 1], [0, 0])
    assert find_changed_images("a model", same, same, random_images(2)).images == ()


def test_images_are_read_as_they_were_written(tmp_path: Path) -> None:
    for changed in (CHANGED, replace(CHANGED, became_wrong=0, images=())):
        write_changed_images(changed, tmp_path / "changed.parquet")
        assert read_changed_images(tmp_path / "changed.parquet") == changed


def test_a_file_that_is_missing_damaged_or_of_another_format_has_no_images(tmp_path: Path) -> None:
    file = tmp_path / "changed.parquet"
    assert read_changed_images(file) is None
    write_changed_images(CHANGED, file)
    table = pq.read_table(file)
    metadata = dict(table.schema.metadata)
    pq.write_table(table.replace_schema_metadata(metadata | {FORMAT_KEY: b"1"}), file)
    assert read_changed_images(file) is None
    pq.write_table(table.drop_columns(["before"]), file)
    assert read_changed_images(file) is None
    pq.write_table(pa.table({"index": [1]}), file)
    assert read_changed_images(file) is None
    file.write_bytes(b"no table")
    assert read_changed_images(file) is None
