from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from adaptune.data import store as module
from adaptune.data import unreadable
from adaptune.data.array_types import Indices
from adaptune.data.domain import StoredImage
from adaptune.data.identity import image_digest
from adaptune.data.store import StoredImages, open_store, prepare_missing
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec

FORM = DomainSpec.model_validate({"domain": "imagefolder:x", "size": 16, "channels": 1})
IMAGE_BYTES = 16 * 16


@dataclass(frozen=True)
class Source:
    """Images of one value each; a file notes which of them are decoded."""

    values: tuple[int, ...]
    log: Path
    broken: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.values)

    def name(self, index: int) -> str:
        return f"image {self.values[index]}"

    def subset(self, indices: Indices) -> Source:
        return Source(tuple(self.values[index] for index in indices), self.log, self.broken)

    def stamps(self, indices: Indices) -> list[str]:
        return [str(self.values[index]) for index in indices]

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        for index in indices:
            value = self.values[index]
            with self.log.open("a") as log:
                log.write(f"{value}\n")
            if value in self.broken:
                yield DataError(f"{self.name(int(index))} cannot be read")
            else:
                yield StoredImage(np.full((16, 16), value, np.uint8), image_digest(bytes([value])))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * IMAGE_BYTES)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tuple(range(10)), tmp_path / "decoded")


def decoded(source: Source) -> list[int]:
    """Return which images were decoded since the last call."""
    values = sorted(map(int, source.log.read_text().split())) if source.log.exists() else []
    source.log.unlink(missing_ok=True)
    return values


def values(images: StoredImages, indices: Indices | None = None) -> list[int]:
    if indices is None:
        indices = np.arange(len(images))
    pixels = images.take(indices)
    assert pixels.shape == (len(indices), 1, 16, 16)
    return [int(value) for value in pixels[:, 0, 0, 0]]


def test_images_are_decoded_once_and_opened_after_that(tmp_path: Path, source: Source) -> None:
    images = open_store(tmp_path / "cache", source, FORM)
    prepare_missing(images, workers=1)
    assert decoded(source) == list(range(10))
    again = open_store(tmp_path / "cache", source, FORM)
    prepare_missing(again, workers=1)
    assert values(again) == list(range(10))
    assert decoded(source) == []
    assert again.stored_digests()[7].tobytes() == image_digest(bytes([7]))
    assert len({row.tobytes() for row in again.pixel_digests()}) == 10


def test_images_are_taken_in_any_order_across_chunks(tmp_path: Path, source: Source) -> None:
    images = open_store(tmp_path / "cache", source, FORM)
    prepare_missing(images, workers=1)
    assert values(images, np.array([9, 0, 4, 4, 3])) == [9, 0, 4, 4, 3]
    subset = images.subset(np.array([8, 1, 5]))
    assert len(subset) == 3
    assert values(subset.subset(np.array([2, 0]))) == [5, 8]
    assert subset.stored_digests()[1].tobytes() == image_digest(bytes([1]))


def test_several_processes_prepare_the_same_files(tmp_path: Path, source: Source) -> None:
    prepare_missing(open_store(tmp_path / "one", source, FORM), workers=1)
    done: list[tuple[int, int]] = []
    images = open_store(tmp_path / "two", source, FORM)
    prepare_missing(images, workers=2, progress=lambda *counts: done.append(counts))
    assert done[-1] == (10, 10)
    assert len(done) == len(images.chunks) > 1
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        (*range(5), 250, *range(6, 200)),
        (*range(5), 250, *range(5, 200)),
        (*range(5), *range(6, 200)),
        tuple(range(150)),
    ],
    ids=["changed", "added", "removed", "cut"],
)
def test_a_change_costs_the_chunks_around_it(tmp_path: Path, changed: tuple[int, ...]) -> None:
    before = Source(tuple(range(200)), tmp_path / "decoded")
    prepare_missing(open_store(tmp_path / "cache", before, FORM), workers=1)
    decoded(before)
    images = open_store(tmp_path / "cache", Source(changed, before.log), FORM)
    prepare_missing(images, workers=1)
    assert values(images) == list(changed)
    assert len(decoded(before)) <= 2 * 8  # at most two chunks of twice the mean length


def test_chunks_have_the_mean_length_and_at_most_twice_of_it(tmp_path: Path) -> None:
    source = Source(tuple(range(5000)), tmp_path / "decoded")
    lengths = [len(chunk.source) for chunk in open_store(tmp_path, source, FORM).chunks]
    assert sum(lengths) == 5000
    assert max(lengths) == 8
    assert 3 < sum(lengths) / len(lengths) < 5


@pytest.mark.parametrize("suffix", [".npy", ".digests.npy"])
def test_a_chunk_that_was_cleaned_in_part_is_prepared_again(
    tmp_path: Path, source: Source, suffix: str
) -> None:
    images = open_store(tmp_path / "cache", source, FORM)
    prepare_missing(images, workers=1)
    images.chunks[1].file.with_suffix(suffix).unlink()
    assert len(images.stored_digests()) == 10
    images.chunks[0].file.with_suffix(suffix).unlink()
    prepare_missing(images, workers=1)
    assert all(chunk.is_prepared for chunk in images.chunks)
    assert values(images) == list(range(10))


def test_another_form_is_prepared_beside_the_first(tmp_path: Path, source: Source) -> None:
    prepare_missing(open_store(tmp_path / "cache", source, FORM), workers=1)
    larger = FORM.model_copy(update={"size": 32})
    images = open_store(tmp_path / "cache", source, larger)
    prepare_missing(images, workers=1)
    assert images.take(np.array([3])).shape == (1, 1, 32, 32)


def test_all_unreadable_images_are_named_and_the_others_are_kept(
    tmp_path: Path, source: Source
) -> None:
    broken = Source(source.values, source.log, frozenset({1, 6}))
    with pytest.raises(DataError) as caught:
        prepare_missing(open_store(tmp_path / "cache", broken, FORM), workers=1)
    assert str(caught.value) == (
        "2 images cannot be used:\n  image 1 cannot be read\n  image 6 cannot be read"
    )
    decoded(source)
    images = open_store(tmp_path / "cache", source, FORM)
    expected: list[int] = []
    for chunk in images.chunks:
        assert isinstance(chunk.source, Source)
        if {1, 6} & {*chunk.source.values}:  # the other chunks were complete
            expected += chunk.source.values
    prepare_missing(images, workers=1)
    assert decoded(source) == expected
    assert len(expected) < 10


def test_a_long_list_of_unreadable_images_is_cut(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "LISTED_ERRORS", 3)
    broken = Source(source.values, source.log, frozenset(range(10)))
    with pytest.raises(
        DataError, match=r"10 images cannot be used:(\n  image .*){3}\n  and 7 more"
    ):
        prepare_missing(open_store(tmp_path / "cache", broken, FORM), workers=1)


def test_an_image_that_does_not_fit_the_form_is_named(tmp_path: Path, source: Source) -> None:
    form = FORM.model_copy(update={"crop": 20})
    with pytest.raises(DataError, match=r"image 0: crop 20 px does not fit"):
        prepare_missing(open_store(tmp_path / "cache", source, form), workers=1)


def test_a_node_without_the_prepared_images_makes_them(tmp_path: Path, source: Source) -> None:
    images: StoredImages = pickle.loads(pickle.dumps(open_store(tmp_path / "new", source, FORM)))
    assert values(images, np.array([9])) == [9]
    last = images.chunks[-1].source
    assert isinstance(last, Source)
    assert decoded(source) == list(last.values)
    assert images.stored_digests()[0].tobytes() == image_digest(bytes([0]))


def test_too_little_space_is_found_before_anything_is_decoded(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(10 * IMAGE_BYTES - 1))
    with pytest.raises(DataError, match=r"10 prepared images need 2\.6 kB.*data\.cache"):
        prepare_missing(open_store(tmp_path / "cache", source, FORM), workers=1)
    assert decoded(source) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, source: Source) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written to .*file/cache \(data\.cache\)"):
        prepare_missing(open_store(tmp_path / "file" / "cache", source, FORM), workers=1)


@dataclass
class Usage:
    free: int
