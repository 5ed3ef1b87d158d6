"""Compiled networks: how often trials of one worker make torch compile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partialmethod
from typing import Any

import pytest
import torch
from support.tiny_trial import (
    CPU,
    make_data,
    make_images,
    make_source_weights,
    make_spec,
    make_state,
)
from torch import nn
from torch._dynamo.utils import counters

from adaptune.training.health import HealthProbe
from adaptune.training.loop import fit
from adaptune.training.sample_grid import sample_grid

pytestmark = [
    pytest.mark.slow,
    # torch's own, from within dynamo
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def fast_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out the code generator, which decides nothing about when torch compiles."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def graphs_of(**options: Any) -> int:
    """Train a trial, with health checks, and return how many graphs it compiled."""
    before = counters["stats"]["unique_graphs"]
    options = {"epochs": 2, "classifier_ema_decay": 0.9} | options
    spec = make_spec(compile=True, **options)
    list(fit(spec, make_data(), make_source_weights(spec), device=CPU, health=True))
    return counters["stats"]["unique_graphs"] - before


def test_health_checks_and_sample_grids_run_networks_as_they_are_written() -> None:
    spec = make_spec(compile=True)
    state = make_state(spec)
    images = make_images(spec, state)
    before = counters["stats"]["unique_graphs"]
    HealthProbe(make_data(), CPU, spec.training).report(state.networks.g_st, state.networks.f_s)
    sample_grid(state, images)
    assert counters["stats"]["unique_graphs"] == before
    state.networks.g_st(images.source.take(torch.arange(4)))
    assert counters["stats"]["unique_graphs"] > before


def test_trials_of_other_weights_use_the_programs_of_the_first_one() -> None:
    first = graphs_of()
    assert first > 0
    for weights in ({"cycle": 3.0}, {"semantic": 0.0, "feature": 0.0}, {"information": 0.0}):
        assert graphs_of(loss_weights=weights) == 0, weights
    assert graphs_of(generator_lr=1e-3, dropout=0.0) == 0


def test_casts_of_bf16_compile_nothing_in_addition() -> None:
    first = graphs_of(generator="resnet", epochs=1)
    torch._dynamo.reset()
    assert graphs_of(generator="resnet", epochs=1, precision="bf16") == first
    assert graphs_of(generator="resnet", epochs=1, precision="bf16", generator_lr=1e-3) == 0


def test_other_shapes_are_compiled_once() -> None:
    graphs_of()
    # Without the identity term, the generators get half as many images per call.
    assert graphs_of(loss_weights={"identity": 0.0}) > 0
    assert graphs_of(loss_weights={"identity": 0.0, "cycle": 2.0}) == 0
    assert graphs_of() == 0
