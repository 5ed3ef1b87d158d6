from __future__ import annotations

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images
from adaptune.data.copies import Copy, find_copies, leaks
from adaptune.data.image_set import in_memory


def textures(count: int) -> Images:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def flags(count: int, *tests: int) -> npt.NDArray[np.bool_]:
    is_test = np.zeros(count, dtype=bool)
    is_test[list(tests)] = True
    return is_test


def test_each_test_image_with_equal_bytes_elsewhere_is_paired_with_one_of_them() -> None:
    source = textures(40)
    target = np.concatenate([textures(60)[40:], source[[3, 3, 3]]])
    is_test = flags(63, 61, 62)
    copies = find_copies([in_memory(source), in_memory(target)], is_test)
    assert copies == [Copy(61, 3, None), Copy(62, 3, None), Copy(3, 60, None)]
    assert leaks(copies, is_test) == [Copy(61, 3, None), Copy(62, 3, None)]


def test_a_near_copy_of_equal_images_is_paired_with_one_outside_the_test() -> None:
    source = textures(40)
    near = source[5:6].copy()
    near[..., 0, 0] ^= 8
    target = np.concatenate([source[5:6], near])
    # Image 5 and its equal 40 are known by one of them; only 40 is outside the test.
    is_test = flags(42, 5, 41)
    copies = find_copies([in_memory(source), in_memory(target)], is_test)
    assert [(copy.first, copy.second) for copy in copies] == [(5, 40), (41, 40)]
    assert copies[0].similarity is None
    assert copies[1].similarity is not None
    assert copies[1].similarity > 0.99
    assert leaks(copies, is_test) == copies


def test_copies_within_the_test_are_no_leak() -> None:
    images = np.concatenate([textures(40), textures(1)])
    is_test = flags(41, 0, 40)
    copies = find_copies([in_memory(images)], is_test)
    assert copies == [Copy(0, 40, None)]
    assert leaks(copies, is_test) == []


def test_different_images_have_no_copies() -> None:
    images = textures(40)
    assert find_copies([in_memory(images)], flags(40, 0)) == []
