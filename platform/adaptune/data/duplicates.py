"""Duplicates and near duplicates among images.

Exact duplicates have the same digest. Near duplicates are found in three steps, so that each step
sees few pairs of the one before:

1. Each image has a descriptor, as in perceptual hashing: the lowest cosine coefficients of its grey
   image of 16 px. Their products give the most similar images of each image.
2. The pair of prepared images is aligned and compared (`adaptune.data.alignment`).
3. The pair must be far more alike than each image is to other images of its domain. Digits of one
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

from adaptune.data.alignment import (
    align,
    aligned_concordance,
    aligned_correlation,
    no_alignment,
)
from adaptune.data.array_types import Images, Indices
from adaptune.seeding import derive_seed

Take = Callable[[Indices], Images]
Measure = Callable[[Tensor, Tensor, Tensor], Tensor]

# Standard deviation in grey levels below which an image has nothing to compare.
BLANK_CONTRAST = 2.0
_EDGE_PX = 16
_FREQUENCIES = 8
_NEIGHBOURS = 4
_LEAST_SIMILARITY = 0.6
_LEAST_CONCORDANCE = 0.95
# Largest residuals (1 − similarity) of a copy, relative to those of other images of the data.
_DESCRIPTOR_RATIO = 0.5
_COARSE_RATIO = 0.25
_FINE_RATIO = 0.15
_CONCORDANCE_RATIO = 0.06
# Other images of the data: the 8th most similar one of a sample, which is no copy of it either.
_SAMPLE = 512
_RANK = 8
_ALIGNED_PX = 32
_COMPARED_PX = 64
_BATCH = 512
_LARGEST_BLOCK = 2**25


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of N images.

    Attributes:
        vectors: float32 (N, 63) of norm 1, or 0 if the image is blank: its contrast is below
            `BLANK_CONTRAST`.
        thumbnails: the grey images at 16 px, float16 (N, 16, 16).
    """

    vectors: npt.NDArray[np.float32]
    thumbnails: npt.NDArray[np.float16]

    def subset(self, indices: Indices) -> Descriptors:
        """Return the descriptors of some of the images."""
        return Descriptors(self.vectors[indices], self.thumbnails[indices])


@dataclass(frozen=True)
class Similarity:
    """Two images that are nearly the same.

    Attributes:
        first: index of an image.
        second: index of another image, larger than `first`.
        similarity: the concordance of the two after alignment, up to 1.
    """

    first: int
    second: int
    similarity: float


def first_of_equals(digests: npt.NDArray[np.uint8]) -> Indices:
    """Return the index of the first image with the same digest: (N, 32) → int64 (N,)."""
    if not len(digests):
        return np.zeros(0, dtype=np.int64)
    texts = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    return first[group.ravel()].astype(np.int64)


def describe(batches: Iterable[Images]) -> Descriptors:
    """Return the descriptors of at least one image: batches of uint8 (B, C, H, W)."""
    vectors, thumbnails = [], []
    for batch in batches:
        grey = torch.from_numpy(np.ascontiguousarray(batch)).float().mean(dim=1, keepdim=True)
        small = F.adaptive_avg_pool2d(grey, _EDGE_PX)[:, 0]
        vectors.append(_vectors(small).numpy())
        thumbnails.append(small.half().numpy())
    return Descriptors(np.concatenate(vectors), np.concatenate(thumbnails))


def near_duplicates(
    descriptors: Descriptors, take: Take, domains: Indices | None = None
) -> list[Similarity]:
    """Return the pairs of images that are nearly the same: re-encoded, resized, or cropped by 5%.

    An image is compared with its 4 most similar images. Flips and rotations are not found, and
    blank images have no near duplicates.

    Args:
        descriptors: those of N images, from `describe`.
        take: function that returns the prepared images at some indices, uint8 (B, C, H, W).
        domains: int64 (N,), the domain of each image; None if all are of one domain.
    """
    vectors = torch.from_numpy(descriptors.vectors)
    if len(vectors) <= 1:
        return []
    if domains is None:
        domains = np.zeros(len(vectors), dtype=np.int64)
    others, background = _background(vectors, domains)
    first, second, similarity = _similar_pairs(vectors)
    background = torch.minimum(background[first], background[second])
    is_close = 1 - similarity <= _DESCRIPTOR_RATIO * background
    first, second, background = first[is_close], second[is_close], background[is_close]
    thumbnails = torch.from_numpy(descriptors.thumbnails)[:, None]
    parameters, correlation = _compare_thumbnails(first, second, thumbnails)
    is_close = 1 - correlation <= _COARSE_RATIO * background
    first, second, background = first[is_close], second[is_close], background[is_close]
    concordance = _compare_images(aligned_concordance, first, second, parameters[is_close], take)
    # The pair is compared with others of the data at its full size only if it may be a copy.
    is_alike = concordance >= (1 - _FINE_RATIO * background).clamp_min(_LEAST_CONCORDANCE)
    first, second, concordance = first[is_alike], second[is_alike], concordance[is_alike]
    residual = _residual_to_others(first, second, others, thumbnails, take)
    is_copy = 1 - concordance <= _CONCORDANCE_RATIO * residual
    pairs = []
    for index in torch.nonzero(is_copy).flatten():
        similarity_of_pair = min(1.0, float(concordance[index]))
        pairs.append(Similarity(int(first[index]), int(second[index]), similarity_of_pair))
    return pairs


def _vectors(small: Tensor) -> Tensor:
    """Return the normalised cosine coefficients of grey images: (B, 16, 16) → (B, 63)."""
    positions = (torch.arange(_EDGE_PX) + 0.5) * (torch.pi / _EDGE_PX)
    cosines = torch.cos(torch.arange(_FREQUENCIES)[:, None] * positions)
    cosines *= (2 / _EDGE_PX) ** 0.5
    cosines[0] /= 2**0.5
    # The first coefficient is the mean brightness.
    coefficients = (cosines @ small @ cosines.T).flatten(1)[:, 1:]
    norm = coefficients.norm(dim=1, keepdim=True)
    has_contrast = norm / _EDGE_PX >= BLANK_CONTRAST
    return torch.where(has_contrast, coefficients / norm.clamp_min(1e-6), torch.zeros(()))


def _background(vectors: Tensor, domains: Indices) -> tuple[Tensor, Tensor]:
    """Return another image that resembles each image, and the residual: int64 and float (N,).

    Both are of a fixed sample, so that one image and its copies are rarely all in it. The sample is
    of the same domain: compared with another domain, all images of one domain look alike.
    """
    random = np.random.default_rng(derive_seed(0, "duplicates"))
    others = torch.zeros(len(vectors), dtype=torch.int64)
    residuals = torch.zeros(len(vectors))
    for domain in np.unique(domains):
        members = np.flatnonzero(domains == domain)
        # An image of a tiny domain would be compared with itself or a copy of it.
        pool = members if len(members) > _RANK else np.arange(len(domains))
        sample = torch.from_numpy(random.permutation(pool)[:_SAMPLE])
        rank = min(_RANK, len(sample) - 1)
        for block in torch.from_numpy(members).split(_BATCH):
            similarity, position = (vectors[block] @ vectors[sample].T).topk(rank + 1, dim=1)
            others[block] = sample[position[:, -1]]
            residuals[block] = 1 - similarity[:, -1]
    return others, residuals


def _residual_to_others(
    first: Tensor, second: Tensor, others: Tensor, thumbnails: Tensor, take: Take
) -> Tensor:
    """Return how little each pair resembles the other images of its domain at best, (P,)."""
    residuals = []
    for image in (first, second):
        other = others[image]
        parameters, _ = _compare_thumbnails(image, other, thumbnails)
        correlation = _compare_images(aligned_correlation, image, other, parameters, take)
        residuals.append(1 - correlation)
    return torch.minimum(*residuals)


def _similar_pairs(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of images, int64 (P,) and int64 (P,), and their similarity, float (P,)."""
    count = len(vectors)
    rows, columns, values = [], [], []
    block_size = max(16, _LARGEST_BLOCK // count)
    for start in range(0, count, block_size):
        block = vectors[start : start + block_size]
        similarity = block @ vectors.T
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


def _compare_thumbnails(first: Tensor, second: Tensor, thumbnails: Tensor) -> tuple[Tensor, Tensor]:
    """Return the alignment of pairs, (P, 4), and their correlation after it, (P,)."""
    parameters = no_alignment(len(first))
    correlation = torch.zeros(len(first))
    for start in range(0, len(first), _BATCH):
        batch = slice(start, start + _BATCH)
        left = thumbnails[first[batch]].float()
        right = thumbnails[second[batch]].float()
        parameters[batch] = align(left, right, parameters[batch])
        correlation[batch] = aligned_correlation(left, right, parameters[batch])
    return parameters, correlation


def _compare_images(
    measure: Measure, first: Tensor, second: Tensor, parameters: Tensor, take: Take
) -> Tensor:
    """Return a measure of pairs of prepared images, (P,), after a finer alignment."""
    values = torch.zeros(len(first))
    for start in range(0, len(first), _BATCH):
        batch = slice(start, start + _BATCH)
        left = _compared(first[batch], take)
        right = _compared(second[batch], take)
        aligned = align(_grey(left), _grey(right), parameters[batch])
        values[batch] = measure(left, right, aligned)
    return values


def _grey(images: Tensor) -> Tensor:
    edge = min(_ALIGNED_PX, images.shape[-1])
    return F.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), edge)


def _compared(indices: Tensor, take: Take) -> Tensor:
    """Return images at the size at which they are compared: float (B, C, H, W)."""
    images = torch.from_numpy(take(indices.numpy())).float()
    if images.shape[-1] <= _COMPARED_PX:
        return images
    return F.adaptive_avg_pool2d(images, _COMPARED_PX)
