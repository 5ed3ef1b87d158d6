from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from adaptune.data.arrays import array_shape, is_array, read_array
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 5), (4, 6, 64)])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_arrays_of_8_and_16_bits_are_read_as_they_are(shape: tuple[int, ...], kind: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    content = npy(array)
    assert is_array(content)
    assert array_shape(content) == shape
    decoded = read_array(content)
    assert decoded.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(decoded, array)


def test_arrays_in_the_order_of_fortran_are_read() -> None:
    array = np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    decoded = read_array(npy(array))
    assert decoded.flags.c_contiguous
    assert np.array_equal(decoded, array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), np.float32), "must be uint8 or uint16, not float32"),
        (np.zeros((4, 4), np.int16), "must be uint8 or uint16, not int16"),
        (np.zeros(16, np.uint8), r"must be \(H, W\) or \(H, W, C\), not \(16,\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"must be \(H, W\) or \(H, W, C\)"),
        (np.zeros((5, 80, 80), np.uint8), r"seems to be \(C, H, W\): move the first axis"),
    ],
)
def test_other_arrays_are_refused_by_their_header(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.npy cannot be read as an image: .*{message}"):
        decode(npy(array), "a.npy")


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("the pickle was loaded",)


def test_pickles_are_not_loaded() -> None:
    trapped = np.empty((2, 2), dtype=object)
    trapped[:] = Trap()
    with pytest.raises(DataError, match="must be uint8 or uint16, not object"):
        decode(npy(trapped), "a.npy")
    with pytest.raises(DataError, match="cannot be read as an image"):
        decode(pickle.dumps(Trap()), "a.npy")


def test_truncated_arrays_are_refused() -> None:
    content = npy(np.zeros((20, 20), np.uint16))
    for end in (7, 20, len(content) - 1):
        with pytest.raises(DataError, match=r"a\.npy cannot be read as an image"):
            decode(content[:end], "a.npy")


def test_an_array_of_too_many_values_is_refused_by_its_header() -> None:
    content = npy(np.zeros((1, 1, 64), np.uint8))
    forged = content.replace(b"(1, 1, 64), }      ", b"(9999, 9999, 64), }")
    with pytest.raises(DataError, match="9999 × 9999 px with 64 channels: at most 400 million"):
        decode(forged, "a.npy")
