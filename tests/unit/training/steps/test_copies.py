"""Copies from the CPU to a GPU in an update, and its operations, counted without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support.fake_gpu import CUDA, FakeGpu
from support.recorded_graph import NoGraphs
from support.tiny_trial import CPU, make_spec
from support.training_options import OPTIONS
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from adaptune.spec import load_spec
from adaptune.spec.schema import TrialSpec
from adaptune.training.augment import filters, fourier, geometry
from adaptune.training.build import build_classifier
from adaptune.training.calibration_data import DataSizes, noise_data
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.state import build_state
from adaptune.training.steps import optimization
from adaptune.training.steps.batch import TrainingImages

SIZES = DataSizes(classes=10, source_train=200, source_val=8, target_train=200, target_val=8)
SEARCHED = ("cycle", "semantic", "feature", "information")
AVERAGED = ("g_st", "g_ts", "f_t")
# They make no kernel: another shape of the same memory, or a note for the profiler.
FREE = frozenset(
    [
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "expand",
        "squeeze",
        "unsqueeze",
        "detach",
        "alias",
        "as_strided",
        "unbind",
        "lift_fresh",
        "device",
        "_record_function_enter_new",
        "_record_function_exit",
    ]
)


class Operations(TorchDispatchMode):
    """Counts the operations that make a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.count += func._schema.name.split("::")[1] not in FREE
        return func(*args, **(kwargs or {}))


def trial_of(
    file: str, precision: str = "fp32", *, averaged: bool = False, consistency: float = 0.0
) -> TrialSpec:
    """Return a trial of a search, narrow where that changes no operation.

    Args:
        averaged: whether all networks that can have a moving average have one.
        consistency: weight of that term.
    """
    values = {f"loss_weights.{name}": 0.5 for name in SEARCHED}
    if consistency:
        values["loss_weights.consistency"] = consistency
    overrides = [f"training.precision={precision}"]
    if averaged:
        overrides += ["training.ema_decay=0.9", "training.classifier_ema_decay=0.9"]
    if file == "mnist_usps.yaml":
        values["loss_weights.identity"] = 0.5
        overrides += ["model.generator.width=8", "model.discriminator.width=8"]
    return load_spec(file, overrides).trial(values, seed=0)


def trainer_of(
    spec: TrialSpec, device: torch.device, recorder: NoGraphs | None = None
) -> tuple[EpochTrainer, list[Member]]:
    labelled = SIZES.classes * spec.data.target.train_labels
    data = noise_data(spec.data.source, SIZES, labelled)
    weights = build_classifier(spec.model.classifier, spec.data.source, 10).state_dict()
    state = build_state(spec, 10, weights, device)
    images = TrainingImages(data, device)
    images.predict(state.networks.f_s)
    return EpochTrainer(spec, images, None, recorder), [Member(state)]


@contextmanager
def no_backward(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out backward passes, which copy nothing: they need a CUDA driver."""

    def give_gradients(optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with monkeypatch.context() as patch:
        patch.setattr(optimization, "_backward", lambda loss: None)
        patch.setattr(optimization, "_step", give_gradients)
        yield


def second_update(spec: TrialSpec, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """Return the notes of an update after the first one, which makes what is kept."""
    fake = FakeGpu()
    with FakeTensorMode(allow_non_fake_inputs=True), fake, no_backward(monkeypatch):
        trainer, members = trainer_of(spec, CUDA)
        trainer._update(members)
        for notes in (fake.copies, fake.blocking, fake.reads):
            notes.clear()
        trainer._update(members)
    return fake


@pytest.fixture
def without_constants() -> Iterator[None]:
    """Make constants again, so that no fake tensor leaves a test and none of others enters it."""
    cached = (geometry._centres, filters._centres, fourier._low_rows)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.mark.usefixtures("without_constants")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
@pytest.mark.parametrize("file", ["cycada.yaml", "mnist_optdigits.yaml", "mnist_usps.yaml"])
def test_an_update_makes_one_copy_to_the_gpu_and_never_waits_for_it(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = second_update(trial_of(file), monkeypatch)
    assert not fake.blocking, f"copies that block: {fake.blocking}"
    assert not fake.reads, f"values that the CPU waits for: {fake.reads}"
    assert fake.copies == ["_to_copy"]


@pytest.mark.usefixtures("without_constants")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
def test_a_recorded_update_gets_its_inputs_by_the_same_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeGpu()
    with FakeTensorMode(allow_non_fake_inputs=True), fake, no_backward(monkeypatch):
        trainer, members = trainer_of(trial_of("cycada.yaml"), CUDA, NoGraphs())
        for _ in range(5):  # the first two fill the pools
            trainer._update(members)
        copies = []
        for _ in range(3):  # a recording with its first replay, and two replays
            fake.copies.clear()
            trainer._update(members)
            copies.append(len(fake.copies))
    assert trainer._recorded is not None
    assert all(kind.recorded for kind in trainer._recorded._kinds.values())
    assert copies == [2, 1, 1]
    assert not fake.reads


@pytest.mark.usefixtures("without_constants")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
def test_noting_the_gradients_of_the_last_update_of_an_epoch_never_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeGpu()
    with FakeTensorMode(allow_non_fake_inputs=True), fake, no_backward(monkeypatch):
        trainer, members = trainer_of(trial_of("cycada.yaml"), CUDA)
        trainer._update(members)
        for notes in (fake.copies, fake.blocking, fake.reads):
            notes.clear()
        with members[0].gradient_norms.noted():
            trainer._update(members)
        assert members[0].gradient_norms._norms.keys() == members[0].state.networks.trained().keys()
    assert (fake.blocking, fake.reads, fake.copies) == ([], [], ["_to_copy"])


@pytest.mark.parametrize(
    ("file", "precision", "consistency", "most"),
    [
        ("cycada.yaml", "fp32", 0.0, 590),
        ("cycada.yaml", "fp32", 1.0, 825),
        ("mnist_optdigits.yaml", "fp32", 0.0, 572),
        ("mnist_usps.yaml", "fp32", 0.0, 1042),
        ("mnist_usps.yaml", "bf16", 0.0, 1518),
    ],
)
def test_the_operations_of_an_update(
    file: str, precision: str, consistency: float, most: int
) -> None:
    trainer, members = trainer_of(trial_of(file, precision, consistency=consistency), CPU)
    trainer._update(members)
    operations = Operations()
    with operations:
        trainer._update(members)
    assert operations.count <= most, f"{operations.count} operations; see docs/decisions/0034"


@pytest.mark.filterwarnings("ignore:.*Overriding a previously registered kernel:UserWarning")
def test_the_operations_of_an_update_in_bf16_on_a_gpu() -> None:
    pad = "aten::reflection_pad2d"
    assert not torch._C._dispatch_has_kernel_for_dispatch_key(pad, "AutocastCUDA")
    with torch.library._scoped_library("aten", "IMPL") as library:
        # On the CPU, autocast would cast the images of a padding to float32 and back.
        library.impl("reflection_pad2d", torch.library.fallthrough_kernel, "AutocastCPU")
        test_the_operations_of_an_update("mnist_usps.yaml", "bf16", 0.0, most=1278)


def tensors_of(member: Member) -> dict[str, Tensor]:
    """Return what an update of a trial changes, by name."""
    state = member.state
    tensors = {"gate": state.semantic_open, "sums": member.meter._sums}
    tensors["finite"] = member.meter._finite_updates
    for name, pool in (("source", state.pool_source), ("target", state.pool_target)):
        assert pool.images is not None
        tensors[f"pool {name}"] = pool.images
    modules = state.networks.trained()
    modules |= {f"average of {name}": average.module for name, average in state.averages.items()}
    for name, module in modules.items():
        parts = [*module.named_parameters(), *module.named_buffers()]
        tensors |= {f"{name} {key}": value for key, value in parts}
    for name, optimizer in state.optimizers.by_name().items():
        for index, parts in enumerate(optimizer.state.values()):
            tensors |= {f"{name} {index} {key}": value for key, value in parts.items()}
    return tensors


@pytest.mark.parametrize("file", ["cycada.yaml", "mnist_optdigits.yaml"])
def test_an_update_changes_its_state_in_place(file: str) -> None:
    trainer, [member] = trainer_of(trial_of(file, averaged=True), CPU)
    trainer._update([member])
    tensors = tensors_of(member)
    before = {name: (value.data_ptr(), value.clone()) for name, value in tensors.items()}
    trainer._update([member])
    after = tensors_of(member)
    assert all(after[name] is tensor for name, tensor in tensors.items() if "pool" not in name)
    assert {name: value.data_ptr() for name, value in after.items()} == {
        name: place for name, (place, _) in before.items()
    }
    changed = {name for name, value in after.items() if not torch.equal(value, before[name][1])}
    assert {"sums", "finite", "pool source", "pool target"} <= changed
    assert {name.split(" ", 3)[2] for name in changed if "average" in name} == set(AVERAGED)


@pytest.mark.usefixtures("without_constants")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
@pytest.mark.parametrize("name", list(OPTIONS))
def test_no_option_makes_more_copies_or_mixes_devices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(batch_size=8, **OPTIONS[name])
    fake = second_update(spec, monkeypatch)
    assert (fake.copies, fake.blocking, fake.reads) == (["_to_copy"], [], [])
