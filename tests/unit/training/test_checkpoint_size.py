"""Sizes are compared with those of checkpoints that were really written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.fake_run import make_tiny_search
from support.tiny_trial import (
    CLASSES,
    CPU,
    make_data,
    make_source_weights,
    make_spec,
    save_mid_epoch,
)

from adaptune.spec import load_spec
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint
from adaptune.training.checkpoint_size import (
    checkpoint_bytes,
    largest_checkpoint_bytes,
    sample_grid_bytes,
)
from adaptune.training.group import GroupTrial
from adaptune.training.loop import fit, fit_group
from adaptune.training.state import TrainingState, build_state


def written_by_training(spec: TrialSpec, folder: Path) -> dict[str, int]:
    """Sizes of the files that an epoch of training leaves."""
    checkpoints = CheckpointFolder(str(folder))
    next(fit(spec, make_data(), make_source_weights(spec), device=CPU, checkpoints=checkpoints))
    return {file.kind: file.size_bytes for file in checkpoints.files()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pool_size": 8, "steps_per_epoch": 4, "precision": "bf16"},
        {"ema_decay": 0.9, "classifier_ema_decay": 0.9},
        {"method": "cyclegan", "loss_weights": {"semantic": 0, "feature": 0, "information": 0}},
        {"loss_weights": {"adversarial": 0}, "pool_size": 8},
        {"loss_weights": {"adversarial": 0, "cycle": 0, "identity": 0, "semantic": 0}},
    ],
    ids=["default", "pools", "averages", "cyclegan", "no discriminators", "no generators"],
)
def test_the_size_after_an_epoch_is_that_of_the_file(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    spec = make_spec(**options)
    size = written_by_training(spec, tmp_path)["checkpoint"]
    # Keys and the record weigh more here than in a file of megabytes.
    assert checkpoint_bytes(spec, CLASSES, workers=1) == pytest.approx(size, rel=0.05)


def test_a_group_stores_the_classifiers_of_its_trials_and_one_gan(tmp_path: Path) -> None:
    spec = make_spec(classifier_ema_decay=0.9)
    trials = {}
    for number in range(3):
        trials[number] = GroupTrial(spec, CheckpointFolder(str(tmp_path), identity=str(number)))
    next(fit_group(trials, make_data(), make_source_weights(spec), device=CPU))
    size = (tmp_path / "epoch-0001.pt").stat().st_size
    assert checkpoint_bytes(spec, CLASSES, 1, trials=3) == pytest.approx(size, rel=0.05)


def trained(spec: TrialSpec, classes: int) -> TrainingState:
    """A state after an update by zero gradients, with full image pools."""
    source_weights = build_classifier(spec.model.classifier, spec.data.source, classes).state_dict()
    state = build_state(spec, classes, source_weights, torch.device("cpu"))
    for optimizer in state.optimizers.by_name().values():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    images = spec.data.source
    shape = (spec.training.pool_size, images.channels, images.size, images.size)
    for pool in (state.pool_source, state.pool_target):
        pool.load(torch.zeros(shape), CPU)
    return state


@pytest.mark.parametrize("name", ["cycada.yaml", "imagefolder.yaml"])
def test_the_size_for_the_example_files_is_within_a_twentieth(tmp_path: Path, name: str) -> None:
    search = load_spec(name, ["search.classifiers_per_gan=1"])
    spec = search.trial({})
    folder = CheckpointFolder(str(tmp_path))
    save_mid_epoch(folder, trained(spec, 7), ResumePoint())
    [file] = folder.files()
    assert largest_checkpoint_bytes(search, 7, workers=1) == pytest.approx(
        file.size_bytes, rel=0.05
    )


@pytest.mark.parametrize(("momentum", "moments"), [(0.9, 1), (0.0, 0)])
def test_stochastic_gradient_descent_has_fewer_moments(momentum: float, moments: int) -> None:
    adam = make_spec()
    sgd = make_spec(classifier_optimizer="sgd", classifier_momentum=momentum)
    parameters = build_classifier(adam.model.classifier, adam.data.source, CLASSES).parameters()
    weights = sum(parameter.nbytes for parameter in parameters)
    saved = checkpoint_bytes(adam, CLASSES, 1) - checkpoint_bytes(sgd, CLASSES, 1)
    assert saved == pytest.approx((2 - moments) * weights, rel=0.05)


def test_each_worker_has_image_pools_of_its_own() -> None:
    spec = make_spec(pool_size=50)
    pools = 2 * 50 * 16 * 16 * 4
    two, three = (checkpoint_bytes(spec, CLASSES, workers) for workers in (2, 3))
    assert three - two == pytest.approx(pools, rel=0.01)


def test_pools_that_count_batches_grow_with_the_batch() -> None:
    sizes = []
    for batch_size in (4, 8):
        spec = make_spec(pool_size=20, pool_unit="batches", batch_size=batch_size)
        sizes.append(checkpoint_bytes(spec, CLASSES, workers=2))
    pools = 2 * 2 * 20 * 2 * 16 * 16 * 4
    assert sizes[1] - sizes[0] == pytest.approx(pools, rel=0.01)


def test_the_largest_checkpoint_of_a_search_has_the_largest_networks() -> None:
    space = {
        "model.generator.width": {"search": "int", "low": 4, "high": 8},
        "model.generator.name": {"search": "choice", "values": ["unshuffle", "resnet"]},
        "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 10},
    }
    search = make_tiny_search(space=space)
    sizes = []
    for width in (4, 8):
        for generator in ("unshuffle", "resnet"):
            values = {"model.generator.width": width, "model.generator.name": generator}
            sizes.append(checkpoint_bytes(search.trial(values), CLASSES, 1))
    assert largest_checkpoint_bytes(search, CLASSES, 1) == max(sizes)


def test_a_sample_grid_of_noise_is_somewhat_larger_than_estimated(tmp_path: Path) -> None:
    spec = make_spec()
    size = written_by_training(spec, tmp_path)["sample grid"]
    assert 0.3 < sample_grid_bytes(spec) / size < 1.5
