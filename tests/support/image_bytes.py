"""Contents of image files that Pillow cannot write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from adaptune.data.array_types import Pixels

NONE, DEFLATE = 1, 8
ROWS = 10  # of a strip
_LONG = 4


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the content of a file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deep_png(pixels: Pixels, transparent: Sequence[int] = (), *, filtered: bool = False) -> bytes:
    """Return a PNG file of 16 bits.

    Args:
        pixels: uint16 (H, W, C): grey, grey with alpha, RGB, or RGB with alpha.
        transparent: the colour without alpha that is transparent.
        filtered: store each value as the difference to the one of its left pixel.
    """
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b""
    for row in pixels:
        values = np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
        left = np.concatenate([np.zeros(2 * channels, np.uint8), values[: -2 * channels]])
        rows += b"\1" + (values - left).tobytes() if filtered else b"\0" + values.tobytes()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    if transparent:
        chunks.append((b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        checksum = zlib.crc32(name + data)
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
    return content


@dataclass(frozen=True)
class Tiff:
    """The form of a TIFF file; `encode` writes it."""

    order: str = "<"
    compression: int = NONE
    differences: bool = False
    tile: int | None = None
    planar: bool = False
    photometric: int = 1
    extra: tuple[int, ...] = ()
    sign: int = 1
    orientation: int = 1
    big: bool = False

    def encode(self, *pages: Pixels) -> bytes:
        """Return the content of a file of pages (H, W, C), one after the other."""
        start = 16 if self.big else 8
        content = b""
        all_tags = []
        for page in pages:
            offsets, sizes, data = self._chunks(page, start + len(content))
            content += data
            all_tags.append(self._tags(page, offsets, sizes))
        link = self._pack("Q" if self.big else "I", start + len(content))
        for tags in all_tags:
            is_last = tags is all_tags[-1]
            content += self._directory(tags, start + len(content), is_last)
        signature = b"II" if self.order == "<" else b"MM"
        magic = self._pack("HHH", 43, 8, 0) if self.big else self._pack("H", 42)
        return signature + magic + link + content

    def _pack(self, form: str, *numbers: int) -> bytes:
        return struct.pack(self.order + form, *numbers)

    def _chunks(self, page: Pixels, start: int) -> tuple[list[int], list[int], bytes]:
        planes = [page]
        if self.planar:
            planes = [page[..., index : index + 1] for index in range(page.shape[2])]
        offsets = []
        sizes = []
        data = b""
        for plane in planes:
            for chunk in self._parts(plane):
                encoded = self._encode_chunk(chunk)
                offsets.append(start + len(data))
                sizes.append(len(encoded))
                data += encoded + bytes(len(encoded) % 2)
        return offsets, sizes, data

    def _parts(self, plane: Pixels) -> list[Pixels]:
        height, width, channels = plane.shape
        if self.tile is None:
            return [plane[top : top + ROWS] for top in range(0, height, ROWS)]
        parts: list[Pixels] = []
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                part = np.zeros((self.tile, self.tile, channels), plane.dtype)
                inside = plane[top : top + self.tile, left : left + self.tile]
                part[: inside.shape[0], : inside.shape[1]] = inside
                parts.append(part)
        return parts

    def _encode_chunk(self, chunk: Pixels) -> bytes:
        values = chunk.copy()
        if self.differences:
            values[:, 1:] -= chunk[:, :-1]
        encoded = values.astype(values.dtype.newbyteorder("<" if self.order == "<" else ">"))
        data = encoded.tobytes()
        return zlib.compress(data) if self.compression == DEFLATE else data

    def _tags(self, page: Pixels, offsets: list[int], sizes: list[int]) -> dict[int, list[int]]:
        height, width, channels = page.shape
        tags = {
            256: [width],
            257: [height],
            258: [8 * page.dtype.itemsize] * channels,
            259: [self.compression],
            262: [self.photometric],
            274: [self.orientation],
            277: [channels],
            284: [2 if self.planar else 1],
            317: [2 if self.differences else 1],
            339: [self.sign] * channels,
        }
        if self.extra:
            tags[338] = list(self.extra)
        if self.tile is None:
            return tags | {273: offsets, 278: [ROWS], 279: sizes}
        return tags | {322: [self.tile], 323: [self.tile], 324: offsets, 325: sizes}

    def _directory(self, tags: dict[int, list[int]], start: int, is_last: bool) -> bytes:
        count, pointer, inline = ("Q", "Q", 8) if self.big else ("H", "I", 4)
        head = struct.calcsize(f"<{count}")
        entry_bytes = 4 + 2 * inline
        values_start = start + head + entry_bytes * len(tags) + inline
        entries = self._pack(count, len(tags))
        values = b""
        for tag, numbers in sorted(tags.items()):
            packed = self._pack(f"{len(numbers)}I", *numbers)
            entries += self._pack(f"HH{pointer}", tag, _LONG, len(numbers))
            if len(packed) <= inline:
                entries += packed.ljust(inline, b"\0")
            else:
                entries += self._pack(pointer, values_start + len(values))
                values += packed
        following = 0 if is_last else values_start + len(values)
        return entries + self._pack(pointer, following) + values
