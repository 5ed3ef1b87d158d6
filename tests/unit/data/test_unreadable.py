from __future__ import annotations

import pickle

from adaptune.data.unreadable import (
    LISTED_ERRORS,
    UnreadableImage,
    UnreadableImagesError,
    unreadable_image,
)
from adaptune.errors import DataError


def unreadable(count: int) -> list[UnreadableImage]:
    return [UnreadableImage(f"{index:02d}", f"{index:02d} is broken") for index in range(count)]


def test_the_message_lists_the_first_images_and_the_error_has_all() -> None:
    error = UnreadableImagesError(unreadable(LISTED_ERRORS + 3))
    first, *rest = str(error).splitlines()
    assert first == f"{LISTED_ERRORS + 3} images cannot be used:"
    assert rest[:2] == ["  00 is broken", "  01 is broken"]
    assert rest[LISTED_ERRORS:] == ["  and 3 more"]
    assert len(error.images) == LISTED_ERRORS + 3


def test_a_single_image_has_a_plain_message() -> None:
    assert str(UnreadableImagesError(unreadable(1))) == "00 is broken"


def test_the_images_survive_the_way_to_another_process() -> None:
    error = UnreadableImagesError(unreadable(2))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.images == error.images
    assert str(copy) == str(error)


def test_a_name_is_added_to_a_message_that_lacks_it() -> None:
    assert unreadable_image("a.png", DataError("it is small")).reason == "a.png: it is small"
    assert unreadable_image("a\t.png", DataError("a\t.png is small")).reason == r"a\t.png is small"
