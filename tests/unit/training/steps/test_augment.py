from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from support.augmentations import photographs
from support.tiny_trial import make_batch, make_spec, make_state
from torch import Tensor

from adaptune.spec.augment import AugmentSpec
from adaptune.training.steps import augment
from adaptune.training.steps.augment import augmented, augmented_batch
from adaptune.training.steps.batch import Batch

ENLARGED: dict[str, Any] = {"gan_augment": {"flip": 0.5, "enlarge": 1.5}}


def changed_batch(step: int = 0, **training: Any) -> tuple[Batch, Batch]:
    """Return a batch before and after the change."""
    spec = make_spec(**training)
    state = make_state(spec)
    state.step = step
    batch = make_batch(spec, state)
    return batch, augmented_batch(state, batch)


def test_without_options_a_batch_is_returned_itself() -> None:
    batch, changed = changed_batch()
    assert changed is batch


def test_without_options_images_are_returned_themselves_and_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = make_state(make_spec())
    monkeypatch.setattr(state, "rng", None)
    images = photographs(4, 16, 1)
    assert augmented(state, AugmentSpec(), images, "purpose") is images


def test_both_domains_are_changed_and_labels_stay_with_their_images() -> None:
    batch, changed = changed_batch(**ENLARGED)
    assert not torch.equal(changed.source, batch.source)
    assert not torch.equal(changed.target, batch.target)
    for field in fields(Batch):
        if field.name not in ("source", "target"):
            assert getattr(changed, field.name) is getattr(batch, field.name)


def test_images_stay_in_their_rows() -> None:
    spec = make_spec(**ENLARGED)
    state = make_state(spec)
    batch = make_batch(spec, state)
    values = torch.linspace(-1, 1, 4)[:, None, None, None].expand_as(batch.source)
    plain = Batch(values, batch.source_labels, values, batch.semantic_source, batch.semantic_target)
    changed = augmented_batch(state, plain)
    torch.testing.assert_close(changed.source, values, rtol=0, atol=1e-5)
    torch.testing.assert_close(changed.target, values, rtol=0, atol=1e-5)


def test_source_and_target_have_draws_of_their_own() -> None:
    spec = make_spec(**ENLARGED)
    state = make_state(spec)
    batch = make_batch(spec, state)
    twins = Batch(
        batch.source,
        batch.source_labels,
        batch.source,
        batch.semantic_source,
        batch.semantic_target,
    )
    changed = augmented_batch(state, twins)
    assert not torch.equal(changed.source, changed.target)


def test_the_draws_depend_on_the_update() -> None:
    _, first = changed_batch(step=3, **ENLARGED)
    _, again = changed_batch(step=3, **ENLARGED)
    _, later = changed_batch(step=4, **ENLARGED)
    assert torch.equal(first.source, again.source)
    assert not torch.equal(first.source, later.source)


@pytest.mark.parametrize("workers", [2, 4])
def test_each_worker_has_its_part_of_the_global_batch(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = make_state(make_spec(batch_size=8))
    images = photographs(8, 16, 1)
    spec = AugmentSpec(flip=0.5, crop=(0.3, 0.8), blur=0.5)
    whole = augmented(state, spec, images, "purpose")
    parts: list[Tensor] = []
    for rank, part in enumerate(images.chunk(workers)):
        monkeypatch.setattr(augment, "rank", lambda rank=rank: rank)
        parts.append(augmented(state, spec, part, "purpose"))
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)
