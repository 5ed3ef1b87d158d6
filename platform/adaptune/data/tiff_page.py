"""Pages of TIFF files: their tags, and their samples through Pillow's decoders.

Pillow has no images of several channels with 16 bits, and none of five channels. It reads grey
images of any width, so a page of C channels is handed to it as a grey one that is C times as wide.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptune.data.array_types import Pixels

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURE_BYTES = 4
_HEADER_BYTES = 16
_COMPRESSIONS_WITH_PREDICTOR = (5, 8, 32946, 34925, 50000)  # LZW, deflate (2), LZMA, Zstandard
_NO_PREDICTOR, _DIFFERENCES = 1, 2
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class TiffPage:
    """A page of a TIFF file.

    Attributes:
        width: W in px.
        height: H in px.
        bits: bits of each sample.
        signs: the kind of number of each sample; 1 is unsigned.
        photometric: the meaning of the samples, such as `RGB`.
        extra: the meaning of the samples beyond the colours: 1 is alpha that the colours are
            multiplied by, 2 is alpha.
        compression: the number of the method.
        predictor: 2 if the values are differences.
        fill_order: 2 if the bits of each byte are reversed.
        is_planar: True if each channel has its own chunks.
        orientation: 1 to 8, as in EXIF.
        chunk_width: width of a tile, or W for strips.
        chunk_height: height of a tile or strip.
        is_tiled: True for tiles.
        chunks: offset and size in bytes of each strip or tile; empty if the file lacks them.
    """

    width: int
    height: int
    bits: tuple[int, ...]
    signs: tuple[int, ...]
    photometric: int
    extra: tuple[int, ...]
    compression: int
    predictor: int
    fill_order: int
    is_planar: bool
    orientation: int
    chunk_width: int
    chunk_height: int
    is_tiled: bool
    chunks: tuple[tuple[int, int], ...]

    @property
    def samples(self) -> int:
        """The number C of channels, alpha included."""
        return len(self.bits)

    @property
    def is_unsigned(self) -> bool:
        """True if all samples are unsigned integers."""
        return all(sign == 1 for sign in self.signs)


def is_tiff(content: bytes) -> bool:
    """Return True if the content of a file begins as a TIFF file does."""
    return content[:_SIGNATURE_BYTES] in _SIGNATURES


def read_pages(content: bytes) -> Iterator[TiffPage]:
    """Yield the pages of a TIFF file.

    Raises:
        Exception: the file is damaged; Pillow's errors have no common base.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    if content.startswith(b"MM\0+"):
        raise ValueError("big-endian BigTIFF is not decoded: store it as little-endian TIFF")
    is_big = content.startswith(b"II+\0")
    header = content[: _HEADER_BYTES if is_big else _HEADER_BYTES // 2]
    directory = ImageFileDirectory_v2(header)
    file = io.BytesIO(content)
    offset = directory.next
    offsets = set()
    while offset and offset not in offsets:  # a damaged file can have a loop
        offsets.add(offset)
        file.seek(offset)
        directory = ImageFileDirectory_v2(header)
        directory.load(file)
        yield _page(directory)
        offset = directory.next


def read_samples(content: bytes, page: TiffPage) -> Pixels:
    """Return the samples of a page as they are stored: uint8 or uint16 (H, W, C).

    Raises:
        ValueError: the page is damaged.
        Exception: Pillow cannot decode it.
    """
    if not page.chunks:
        raise ValueError("the file does not say where its strips or tiles are")
    if any(offset + size > len(content) for offset, size in page.chunks):
        raise ValueError("the file is truncated")
    if sum(size for _, size in page.chunks) > len(content):
        raise ValueError("parts of the file are used more than once")
    if not page.is_planar:
        return _read_plane(content, page, page.chunks, page.samples)
    per_plane = len(page.chunks) // page.samples
    planes = []
    for channel in range(page.samples):
        chunks = page.chunks[channel * per_plane : (channel + 1) * per_plane]
        planes.append(_read_plane(content, page, chunks, 1))
    return np.concatenate(planes, axis=2)


def _page(tags: Any) -> TiffPage:
    """Return the page that a directory of Pillow describes."""
    width = int(tags[256])
    height = int(tags[257])
    samples = int(tags.get(277, 1))
    is_tiled = 322 in tags
    offsets = _numbers(tags.get(324 if is_tiled else 273, ()))
    sizes = _numbers(tags.get(325 if is_tiled else 279, ()))
    return TiffPage(
        width=width,
        height=height,
        bits=_per_sample(tags.get(258, 1), samples),
        signs=_per_sample(tags.get(339, 1), samples),
        photometric=int(tags.get(262, BLACK_IS_ZERO)),
        extra=_numbers(tags.get(338, ())),
        compression=int(tags.get(259, 1)),
        predictor=int(tags.get(317, _NO_PREDICTOR)),
        fill_order=int(tags.get(266, 1)),
        is_planar=tags.get(284, 1) == 2 and samples > 1,
        orientation=int(tags.get(274, 1)),
        chunk_width=int(tags[322]) if is_tiled else width,
        chunk_height=int(tags[323]) if is_tiled else min(height, int(tags.get(278, height))),
        is_tiled=is_tiled,
        chunks=tuple(zip(offsets, sizes, strict=False)),
    )


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (int(value),)


def _per_sample(value: Any, samples: int) -> tuple[int, ...]:
    """Return one number per sample; some programs write one for all of them."""
    numbers = _numbers(value)
    return numbers * samples if len(numbers) == 1 else numbers


def _read_plane(
    content: bytes, page: TiffPage, chunks: Sequence[tuple[int, int]], samples: int
) -> Pixels:
    """Return the channels of some chunks, (H, W, `samples`)."""
    from PIL import Image

    wide = io.BytesIO(_grey_file(content, page, chunks, samples))
    with Image.open(wide, formats=["TIFF"]) as file:
        values = np.asarray(file)
    kind = np.dtype(f"u{page.bits[0] // 8}")
    pixels: Pixels = values.astype(kind).reshape(page.height, page.width, samples)
    if page.predictor == _DIFFERENCES and page.compression in _COMPRESSIONS_WITH_PREDICTOR:
        for left in range(0, page.width, page.chunk_width):
            chunk = pixels[:, left : left + page.chunk_width]
            np.add.accumulate(chunk, axis=1, dtype=kind, out=chunk)
    return pixels


def _grey_file(
    content: bytes, page: TiffPage, chunks: Sequence[tuple[int, int]], samples: int
) -> bytes:
    """Return a TIFF file of one grey page that has the chunks of several channels."""
    order = "<" if content[:1] == b"I" else ">"
    body = b"".join(content[offset : offset + size] for offset, size in chunks)
    header = content[:2] + struct.pack(f"{order}HI", 42, 8 + len(body) + len(body) % 2)
    sizes = [size for _, size in chunks]
    offsets = [8 + sum(sizes[:index]) for index in range(len(sizes))]
    offsets_tag, sizes_tag = (324, 325) if page.is_tiled else (273, 279)
    tags = {
        256: (_LONG, [page.width * samples]),
        257: (_LONG, [page.height]),
        258: (_SHORT, [page.bits[0]]),
        259: (_SHORT, [page.compression]),
        262: (_SHORT, [BLACK_IS_ZERO]),
        266: (_SHORT, [page.fill_order]),
        277: (_SHORT, [1]),
        offsets_tag: (_LONG, offsets),
        sizes_tag: (_LONG, sizes),
    }
    if page.is_tiled:
        tags[322] = (_LONG, [page.chunk_width * samples])
        tags[323] = (_LONG, [page.chunk_height])
    else:
        tags[278] = (_LONG, [page.chunk_height])
    start = 8 + len(body) + len(body) % 2
    return header + body + bytes(len(body) % 2) + _directory(tags, start, order)


def _directory(tags: dict[int, tuple[int, list[int]]], start: int, order: str) -> bytes:
    """Return the directory of a TIFF file that begins at a position."""
    entries = struct.pack(f"{order}H", len(tags))
    values = b""
    values_start = start + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        letter = "H" if kind == _SHORT else "I"
        packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", values_start + len(values))
            values += packed
    return entries + bytes(4) + values
