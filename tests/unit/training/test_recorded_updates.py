"""Recorded updates, on the CPU: replays make the numbers of the updates as they are written."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support.recorded_graph import CpuRecorder
from support.tiny_trial import (
    CPU,
    WITH_MEMORY,
    make_images,
    make_spec,
    make_state,
)
from torch import nn

from adaptune.spec import load_spec
from adaptune.spec.schema import TrialSpec
from adaptune.training import epoch_trainer, recorded_updates
from adaptune.training.augment import filters, fourier, geometry
from adaptune.training.build import build_classifier
from adaptune.training.calibration_data import DataSizes, noise_data
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.recorded_updates import addresses_of
from adaptune.training.state import TrainingState, build_state
from adaptune.training.steps.batch import TrainingImages

SIZES = DataSizes(classes=10, source_train=90, source_val=8, target_train=70, target_val=8)
EPOCH = 10  # updates
STRONG = {"augment": {"flip": 0.5}, "mask": 0.3, "threshold": 0.35}
CHANGES = {"jitter": {"contrast": 0.2, "brightness": 0.2}, "blur": 0.5, "policy": "rand"}
CASES: dict[str, dict[str, Any]] = {
    "everything with a memory": WITH_MEMORY,
    "cyclegan": WITH_MEMORY | {"method": "cyclegan"},
    "no pool": {"pool_size": 0},
    "gradient penalty": {"gradient_penalty_every": 3, "loss_weights": {"gradient_penalty": 1.0}},
    "late classifier": {"classifier_from": 0.25, "classifier_ema_decay": 0.9, "pool_size": 6},
    "semantic gate": {"semantic_gate": 1.1},
    "labels of the teacher": {
        "classifier_ema_decay": 0.9,
        "semantic_target_labels": "adapted",
        "semantic_confidence": 0.4,
    },
    "consistency": {
        "classifier_ema_decay": 0.9,
        "consistency": STRONG,
        "loss_weights": {"consistency": 1.0, "confusion": 1.0},
    },
    "sgd": {"classifier_optimizer": "sgd", "classifier_weight_decay": 1e-3},
    "schedule": {"lr_decay_from": 0.1, "classifier_schedule": "tllib"},
    "parts of a batch": {"accumulate": 2, "recompute_blocks": True, "generator": "resnet"},
    "augmentations": {
        "d_augment": {"brightness": 0.5, "shift": 0.1, "cutout": 0.3},
        "fourier_beta": 0.1,
        "task_images": "both",
        "augment": CHANGES,
    },
    "batch norm": {"classifier": "dtn", "size": 32, "dropout": 0.3},
    "bf16": {"precision": "bf16", "generator": "resnet"},
    "few labels": {"train_labels": 1, "loss_weights": {"task_target": 1.0}},
}


def tiny_spec(**options: Any) -> TrialSpec:
    """Return a tiny trial of 3 epochs, whose update is recorded in the first one."""
    return make_spec(**{"epochs": 3, "steps_per_epoch": EPOCH, "dropout": 0.2} | options)


def trained(
    state: TrainingState,
    images: TrainingImages,
    recorder: CpuRecorder | None,
    epochs: Sequence[int] = (1, 2),
) -> Member:
    member = Member(state)
    trainer = EpochTrainer(state.spec, images, None, recorder)
    for epoch in epochs:
        assert trainer.train(epoch, [member])
    return member


def tiny_trial(spec: TrialSpec, recorder: CpuRecorder | None) -> Member:
    state = make_state(spec)
    return trained(state, make_images(spec, state), recorder)


def assert_equal(member: Member, expected: Member) -> None:
    assert member.meter.means() == expected.meter.means()
    state, other = member.state, expected.state
    torch.testing.assert_close(state.state_dict(), other.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(state.pools_state(), other.pools_state(), rtol=0, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_replays_make_the_numbers_of_the_updates_as_they_are_written(case: str) -> None:
    spec = tiny_spec(**CASES[case])
    recorder = CpuRecorder()
    assert_equal(tiny_trial(spec, recorder), tiny_trial(spec, None))
    assert sum(recorder.replays) >= EPOCH


@pytest.mark.slow
@pytest.mark.parametrize("file", ["cycada.yaml", "mnist_usps.yaml"])
def test_so_do_those_of_the_searches_that_come_with_adaptune(file: str) -> None:
    recorder = CpuRecorder()
    expected = shipped_trial(file, None)
    assert_equal(shipped_trial(file, recorder), expected)
    assert sum(recorder.replays) >= EPOCH


def shipped_trial(file: str, recorder: CpuRecorder | None) -> Member:
    """Train a trial of a search with all searched terms, in narrow networks, for two epochs."""
    overrides = ["training.batch_size=16", f"training.steps_per_epoch={EPOCH}", "training.epochs=3"]
    if file == "mnist_usps.yaml":
        overrides += ["model.generator.width=8", "model.discriminator.width=8"]
    terms = ("cycle", "semantic", "feature", "information")
    spec = load_spec(file, overrides).trial({f"loss_weights.{term}": 0.5 for term in terms}, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        f_s = build_classifier(spec.model.classifier, spec.data.source, SIZES.classes)
    state = build_state(spec, SIZES.classes, f_s.state_dict(), CPU)
    images = TrainingImages(noise_data(spec.data.source, SIZES), CPU)
    images.predict(state.networks.f_s)
    return trained(state, images, recorder)


def test_each_kind_of_update_is_recorded_once() -> None:
    recorder = CpuRecorder()
    tiny_trial(tiny_spec(**CASES["gradient penalty"]), recorder)
    # Two graphs each, since dropout is seeded in between. Of 20 updates, 7 have the penalty, and
    # three of each kind come before the recording.
    assert recorder.replays == [9, 9, 3, 3]


def test_without_a_change_of_kind_one_update_is_recorded() -> None:
    recorder = CpuRecorder()
    tiny_trial(tiny_spec(), recorder)
    assert recorder.replays == [15, 15]


def test_a_state_at_other_addresses_is_recorded_again() -> None:
    spec = tiny_spec(**WITH_MEMORY)
    members = []
    recorder = CpuRecorder()
    for used in (recorder, None):
        state = make_state(spec)
        member = Member(state)
        trainer = EpochTrainer(spec, make_images(spec, state), None, used)
        trainer.train(1, [member])
        # Torch's optimizers replace their tensors by those that they load.
        state.load_state_dict(copy.deepcopy(state.state_dict()))
        trainer.train(2, [member])
        trainer.train(3, [member])
        members.append(member)
    assert_equal(members[0], members[1])
    assert len(recorder.graphs) == 4


def test_an_update_that_cannot_be_recorded_is_made_as_it_is_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = tiny_spec(**WITH_MEMORY)
    with caplog.at_level(logging.WARNING):
        member = tiny_trial(spec, CpuRecorder(fails=True))
    assert_equal(member, tiny_trial(spec, None))
    [message] = [record.getMessage() for record in caplog.records]
    assert "without a CUDA graph" in message
    assert "operation not permitted" in message


def test_so_is_one_that_waits_for_a_value(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(group: Any, batch: Any) -> Any:
        all_terms = epoch_trainer.cycada_step(group, batch)
        if all_terms[0]["cycle"] < 0:
            raise AssertionError
        return all_terms

    monkeypatch.setitem(epoch_trainer.STEPS, "cycada", step)
    recorder = CpuRecorder()
    member = tiny_trial(tiny_spec(**WITH_MEMORY), recorder)
    assert "_local_scalar_dense needs the CPU" in caplog.text
    assert len(caplog.records) == 1
    assert sum(recorder.replays) == 0
    assert not any(p.grad is not None for p in parameters_of(member.state))


def parameters_of(state: TrainingState) -> Iterator[nn.Parameter]:
    for network in state.networks.trained().values():
        yield from network.parameters()


def test_numbers_of_python_would_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the stand-in: it would find a learning rate that is not read from the device."""

    @contextmanager
    def rates_of_the_cpu(*_: object) -> Iterator[None]:
        yield

    spec = tiny_spec(lr_decay_from=0.0)
    monkeypatch.setattr(recorded_updates, "rates_on_device", rates_of_the_cpu)
    member = tiny_trial(spec, CpuRecorder())
    with pytest.raises(AssertionError):
        assert_equal(member, tiny_trial(spec, None))


def test_a_recording_and_replays_leave_the_state_where_it_is() -> None:
    spec = tiny_spec(**WITH_MEMORY)
    state = make_state(spec)
    images = make_images(spec, state)
    recorder = CpuRecorder()
    trainer = EpochTrainer(spec, images, None, recorder)
    member = Member(state)
    trainer.train(1, [member])
    addresses = addresses_of([state])
    tensors = list(state.networks.g_st.parameters())
    trainer.train(2, [member])
    assert addresses_of([state]) == addresses
    parameters = zip(tensors, state.networks.g_st.parameters(), strict=True)
    assert all(before is after for before, after in parameters)


def test_replays_read_no_memory_that_could_be_freed() -> None:
    spec = tiny_spec(**WITH_MEMORY | CASES["augmentations"] | CASES["consistency"])
    state = make_state(spec)
    images = make_images(spec, state)
    recorder = CpuRecorder()
    trainer = EpochTrainer(spec, images, None, recorder)
    trainer.train(1, [Member(state)])
    assert trainer._recorded is not None
    kept = set(addresses_of([state]))
    kept |= {value.data_ptr() for value in state.networks.f_s.state_dict().values()}
    for stored in (images.source._stored, images.source._labels, images.target._stored):
        assert stored is not None
        kept.add(stored.data_ptr())
    for labels in (images.predicted_source, images.predicted_target):
        assert labels is not None
        kept.add(labels.data_ptr())
    for kind in trainer._recorded._kinds.values():
        assert kind.recorded is not None
        kept.add(kind.recorded.inputs._packed.data_ptr())
    size = spec.data.source.size
    constants = [geometry._centres(size, CPU), filters._centres(size, CPU)]
    constants.append(fourier._low_rows(size, int(0.1 * size), CPU))
    kept |= {constant.data_ptr() for constant in constants}
    for graph in recorder.graphs:
        assert graph.outer <= kept
        kept |= graph.inner  # graphs keep their memory, which those of the same update may read
