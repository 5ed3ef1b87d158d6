from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image
from support.textured_images import CLASSES, textured_image

from adaptune.data.array_types import Images, Indices
from adaptune.data.domain import LoadRequest
from adaptune.data.duplicates import Similarity, describe, first_of_equals, near_duplicates
from adaptune.data.identity import array_digests
from adaptune.data.preprocessing import prepare
from adaptune.data.registry import DOMAINS

EDGE_PX = 80


@cache
def pictures(count: int = 240) -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [textured_image(random, CLASSES[index % 3], EDGE_PX) for index in range(count)]


def prepared(images: list[Image.Image]) -> Images:
    return prepare([np.asarray(image) for image in images], crop=None, size=32, channels=3)


def pairs_of(images: Images) -> list[tuple[int, int]]:
    return [(pair.first, pair.second) for pair in similarities(images)]


def similarities(images: Images) -> list[Similarity]:
    def take(indices: Indices) -> Images:
        taken: Images = images[indices]
        return taken

    halves = np.array_split(images, 2)
    return near_duplicates(describe(halves), take)


def altered(image: Image.Image, *, crop: float = 0, scale: float = 1, quality: int = 92) -> Images:
    margin = round(crop * EDGE_PX)
    cropped = image.crop((0, margin, EDGE_PX - margin, EDGE_PX))
    edge = round(scale * EDGE_PX)
    file = io.BytesIO()
    cropped.resize((edge, edge), Image.Resampling.BICUBIC).save(file, "jpeg", quality=quality)
    return prepared([Image.open(file)])


def test_images_with_equal_digests_have_the_same_first_one() -> None:
    images = np.arange(4, dtype=np.uint8)[[2, 0, 2, 3, 0], None, None]
    digests = np.stack([np.frombuffer(digest, np.uint8) for digest in array_digests(images)])
    assert first_of_equals(digests).tolist() == [0, 1, 0, 3, 1]
    assert first_of_equals(digests[:0]).tolist() == []


@pytest.mark.parametrize(
    "change",
    [
        {"quality": 60},
        {"scale": 0.8},
        {"crop": 0.05},
        {"quality": 60, "scale": 0.8, "crop": 0.05},
    ],
)
def test_copies_that_were_encoded_resized_or_cropped_are_found(change: dict[str, float]) -> None:
    copies = []
    for image in pictures()[:20]:
        copies.append(
            altered(
                image,
                crop=change.get("crop", 0),
                scale=change.get("scale", 1),
                quality=int(change.get("quality", 92)),
            )
        )
    count = len(pictures())
    expected = {(index, count + index) for index in range(20)}
    assert set(pairs_of(np.concatenate([prepared(pictures()), *copies]))) == expected


def test_different_textured_images_are_no_copies() -> None:
    assert pairs_of(prepared(pictures())) == []


def test_the_same_drawing_in_another_colour_is_no_copy() -> None:
    images = prepared(pictures())
    recoloured = images[:20, ::-1]
    assert pairs_of(np.concatenate([images, recoloured])) == []


def test_one_digit_of_a_class_is_rarely_taken_for_another() -> None:
    from pathlib import Path

    request = LoadRequest(root=Path(), path=None, seed=0, half=slice(0, None, 5))
    digits = DOMAINS["mnist5k"].loader(request)
    assert isinstance(digits.images, np.ndarray)
    images = prepare(digits.images, crop=20, size=32, channels=1)
    # A thousand digits have half a million pairs.
    assert len(pairs_of(images)) <= 10
    with_copy = np.concatenate([images, images[123:124]])
    assert (123, 1000) in pairs_of(with_copy)


@pytest.mark.slow
def test_images_of_a_plain_domain_are_compared_with_their_own_domain() -> None:
    from pathlib import Path

    images, domains = [], []
    for number, (name, crop) in enumerate((("mnist5k", 20), ("optdigits", None))):
        request = LoadRequest(root=Path(), path=None, seed=0, half=slice(None))
        raw = DOMAINS[name].loader(request).images
        assert isinstance(raw, np.ndarray)
        images.append(prepare(raw[: 1797 * (number + 1)], crop=crop, size=32, channels=1))
        domains += [number] * len(images[-1])
    both = np.concatenate(images)
    found = near_duplicates(describe([both]), lambda indices: both[indices], np.array(domains))
    assert len(found) <= 4


def test_blank_images_have_no_near_copies() -> None:
    images = prepared(pictures())
    blank = np.full((3, *images.shape[1:]), 255, dtype=np.uint8)
    assert pairs_of(np.concatenate([images, blank])) == []


def test_a_pair_has_a_similarity_and_a_single_image_has_no_pair() -> None:
    images = prepared(pictures())
    (pair,) = similarities(np.concatenate([images, images[7:8]]))
    assert (pair.first, pair.second) == (7, 240)
    assert pair.similarity == pytest.approx(1)
    assert pairs_of(images[:1]) == []
