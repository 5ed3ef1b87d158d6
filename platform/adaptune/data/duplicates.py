"""Duplicates and near duplicates among images.

Exact duplicates have the same digest. Near duplicates are found in three steps, so that each step
sees few pairs of the one before:

1. Each image has a descriptor, as in perceptual hashing: the lowest cosine coefficients of its grey
   image of 16 px. Their products give the most similar images of each image.
2. The pair of prepared images is aligned and correlated (`adaptune.data.alignment`).
3. The pair must be far more alike than each image is to other images of the data. Digits of one
   class on a plain background are all alike; two copies of one digit are still closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.alignment import aligned_correlation
from adaptune.data.domain import Images, Indices
from adaptune.seeding import derive_seed

Descriptors = npt.NDArray[np.float32]
Take = Callable[[Indices], Images]

# Standard deviation in grey levels below which an image has nothing to compare.
BLANK_CONTRAST = 2.0
_EDGE_PX = 16
_FREQUENCIES = 8
_NEIGHBOURS = 8
_LEAST_SIMILARITY = 0.6
_LEAST_CORRELATION = 0.95
# Largest residuals (1 − similarity) of a copy, relative to those of other images of the data.
_DESCRIPTOR_RATIO = 0.5
_CORRELATION_RATIO = 0.06
# Other images of the data: the 8th most similar one of a sample, which is no copy of it either.
_SAMPLE = 512
_RANK = 8
_COMPARED_PX = 64
_BATCH = 512
_LARGEST_BLOCK = 2**25


@dataclass(frozen=True)
class Similarity:
    """Two images that are nearly the same.

    Attributes:
        first: index of an image.
        second: index of another image, larger than `first`.
        correlation: the correlation of the two after alignment, up to 1.
    """

    first: int
    second: int
    correlation: float


def first_of_equals(digests: npt.NDArray[np.uint8]) -> Indices:
    """Return the index of the first image with the same digest: (N, 32) → int64 (N,)."""
    if not len(digests):
        return np.zeros(0, dtype=np.int64)
    texts = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    return first[group.ravel()].astype(np.int64)


def describe(batches: Iterable[Images]) -> Descriptors:
    """Return the descriptors of images: batches of uint8 (B, C, H, W) → float32 (N, 63).

    Each has the norm 1, or 0 if the image is blank: its contrast is below `BLANK_CONTRAST`.
    """
    descriptors = [_describe(batch) for batch in batches]
    if not descriptors:
        return np.zeros((0, _FREQUENCIES**2 - 1), dtype=np.float32)
    return np.concatenate(descriptors)


def near_duplicates(descriptors: Descriptors, take: Take) -> list[Similarity]:
    """Return the pairs of images that are nearly the same: re-encoded, resized, or cropped by 5%.

    An image is compared with its 8 most similar images. Flips and rotations are not found, and
    blank images have no near duplicates.

    Args:
        descriptors: float32 (N, 63), from `describe`.
        take: function that returns the prepared images at some indices, uint8 (B, C, H, W).
    """
    compared = torch.from_numpy(descriptors)
    if len(compared) <= 1:
        return []
    others, background = _background(compared)
    first, second, similarity = _similar_pairs(compared)
    limit = _DESCRIPTOR_RATIO * torch.minimum(background[first], background[second])
    is_close = 1 - similarity <= limit
    first, second = first[is_close], second[is_close]
    correlation = _correlations(first, second, take)
    is_alike = correlation >= _LEAST_CORRELATION
    first, second, correlation = first[is_alike], second[is_alike], correlation[is_alike]
    residual = torch.minimum(
        _residuals_to_others(first, others, take), _residuals_to_others(second, others, take)
    )
    is_copy = 1 - correlation <= _CORRELATION_RATIO * residual
    pairs = []
    for index in torch.nonzero(is_copy).flatten():
        pairs.append(
            Similarity(int(first[index]), int(second[index]), min(1.0, float(correlation[index])))
        )
    return pairs


def _describe(batch: Images) -> Descriptors:
    grey = torch.from_numpy(np.ascontiguousarray(batch)).float().mean(dim=1, keepdim=True)
    small = F.adaptive_avg_pool2d(grey, _EDGE_PX)[:, 0]
    positions = (torch.arange(_EDGE_PX) + 0.5) * (torch.pi / _EDGE_PX)
    cosines = torch.cos(torch.arange(_FREQUENCIES)[:, None] * positions)
    cosines *= (2 / _EDGE_PX) ** 0.5
    cosines[0] /= 2**0.5
    # The first coefficient is the mean brightness.
    coefficients = (cosines @ small @ cosines.T).flatten(1)[:, 1:]
    norm = coefficients.norm(dim=1, keepdim=True)
    has_contrast = norm / _EDGE_PX >= BLANK_CONTRAST
    descriptors = torch.where(has_contrast, coefficients / norm.clamp_min(1e-6), torch.zeros(()))
    result: Descriptors = descriptors.numpy()
    return result


def _background(descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """Return another image that resembles each image, and the residual: int64 and float (N,).

    Both are of a fixed sample, so that one image and its copies are rarely all in it.
    """
    random = np.random.default_rng(derive_seed(0, "duplicates"))
    sample = torch.from_numpy(random.permutation(len(descriptors))[:_SAMPLE])
    rank = min(_RANK, len(sample) - 1)
    others, residuals = [], []
    for block in descriptors.split(_BATCH):
        similarity, position = (block @ descriptors[sample].T).topk(rank + 1, dim=1)
        others.append(sample[position[:, -1]])
        residuals.append(1 - similarity[:, -1])
    return torch.cat(others), torch.cat(residuals)


def _similar_pairs(descriptors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of images, int64 (P,) and int64 (P,), and their similarity, float (P,)."""
    count = len(descriptors)
    rows, columns, values = [], [], []
    block_size = max(16, _LARGEST_BLOCK // count)
    for start in range(0, count, block_size):
        block = descriptors[start : start + block_size]
        similarity = block @ descriptors.T
        positions = torch.arange(len(block))
        similarity[positions, start + positions] = -1  # itself
        # Most images of textured data have no similar one, and the maximum is cheaper than topk.
        positions = positions[similarity.amax(dim=1) >= _LEAST_SIMILARITY]
        best, column = similarity[positions].topk(min(_NEIGHBOURS, count - 1), dim=1)
        is_similar = best >= _LEAST_SIMILARITY
        rows.append((start + positions)[:, None].expand_as(column)[is_similar])
        columns.append(column[is_similar])
        values.append(best[is_similar])
    row, column, value = torch.cat(rows), torch.cat(columns), torch.cat(values)
    first = torch.minimum(row, column)
    second = torch.maximum(row, column)
    # A pair can be found from both sides.
    _, once = np.unique((first * count + second).numpy(), return_index=True)
    return first[once], second[once], value[once]


def _correlations(first: Tensor, second: Tensor, take: Take) -> Tensor:
    correlations = [torch.zeros(0)]
    for left, right in zip(first.split(_BATCH), second.split(_BATCH), strict=True):
        correlations.append(aligned_correlation(_compared(left, take), _compared(right, take)))
    return torch.cat(correlations)


def _residuals_to_others(images: Tensor, others: Tensor, take: Take) -> Tensor:
    return 1 - _correlations(images, others[images], take)


def _compared(indices: Tensor, take: Take) -> Tensor:
    """Return images at the size at which they are compared: float (B, C, H, W)."""
    images = torch.from_numpy(take(indices.numpy())).float()
    if images.shape[-1] <= _COMPARED_PX:
        return images
    return F.adaptive_avg_pool2d(images, _COMPARED_PX)
