"""Copies from the CPU to a GPU in an update, and its operations, counted without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

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
CUDA = torch.device("cuda", 0)
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


class FakeGpu(TorchDispatchMode):
    """Computes on the CPU what is there, and nothing but shapes on CUDA devices.

    Attributes:
        copies: places of the copies from the CPU to a device that it does not wait for.
        blocking: places of those that it waits for.
        reads: operations whose result the CPU waits for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.blocking: list[str] = []
        self.reads: list[str] = []
        self._pinned: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        name = func._schema.name.split("::")[1]
        if name == "_pin_memory":
            with _disable_current_modes():
                pinned = args[0].clone()
            self._pinned.add(pinned.data_ptr())
            return pinned
        on_device = [leaf for leaf in leaves if isinstance(leaf, FakeTensor)]
        asks_for_device = kwargs.get("device") == CUDA
        if not on_device and not asks_for_device:
            with _disable_current_modes():
                return func(*args, **kwargs)
        self._note(name, leaves, kwargs)
        return func(*args, **kwargs)

    def _note(self, name: str, leaves: list[object], kwargs: dict[str, object]) -> None:
        if name in ("_local_scalar_dense", "nonzero", "is_nonzero"):
            self.reads.append(name)
        for leaf in leaves:
            if not isinstance(leaf, Tensor) or isinstance(leaf, FakeTensor):
                continue
            if leaf.dim() == 0 and name not in ("_to_copy", "copy_"):
                continue  # an argument of the kernel
            is_pinned = leaf.data_ptr() in self._pinned
            is_free = is_pinned and kwargs.get("non_blocking") is True
            (self.copies if is_free else self.blocking).append(name)


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


def trial_of(file: str, precision: str = "fp32") -> TrialSpec:
    """Return a trial of a search, narrow where that changes no operation."""
    values = {f"loss_weights.{name}": 0.5 for name in SEARCHED}
    overrides = [f"training.precision={precision}"]
    if file == "mnist_usps.yaml":
        values["loss_weights.identity"] = 0.5
        overrides += ["model.generator.width=8", "model.discriminator.width=8"]
    return load_spec(file, overrides).trial(values, seed=0)


def trainer_of(spec: TrialSpec, device: torch.device) -> tuple[EpochTrainer, list[Member]]:
    data = noise_data(spec.data.source, SIZES)
    weights = build_classifier(spec.model.classifier, spec.data.source, 10).state_dict()
    state = build_state(spec, 10, weights, device)
    images = TrainingImages(data, device)
    images.predict(state.networks.f_s)
    return EpochTrainer(spec, images, None), [Member(state)]


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
    fake = FakeGpu()
    with FakeTensorMode(allow_non_fake_inputs=True), fake, no_backward(monkeypatch):
        trainer, members = trainer_of(trial_of(file), CUDA)
        trainer._update(members)  # makes what is kept
        for notes in (fake.copies, fake.blocking, fake.reads):
            notes.clear()
        trainer._update(members)
    assert not fake.blocking, f"copies that block: {fake.blocking}"
    assert not fake.reads, f"values that the CPU waits for: {fake.reads}"
    assert fake.copies == ["_to_copy"]


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
    ("file", "precision", "most"),
    [
        ("cycada.yaml", "fp32", 599),
        ("mnist_optdigits.yaml", "fp32", 585),
        ("mnist_usps.yaml", "fp32", 1047),
        ("mnist_usps.yaml", "bf16", 1790),
    ],
)
def test_the_operations_of_an_update(file: str, precision: str, most: int) -> None:
    trainer, members = trainer_of(trial_of(file, precision), CPU)
    trainer._update(members)
    operations = Operations()
    with operations:
        trainer._update(members)
    assert operations.count <= most, f"{operations.count} operations; see docs/decisions/0032"


def tensors_of(member: Member) -> dict[str, Tensor]:
    """Return what an update of a trial changes, by name."""
    state = member.state
    tensors = {"gate": state.semantic_open, "sums": member.meter._sums}
    tensors["finite"] = member.meter._finite_updates
    for name, pool in (("source", state.pool_source), ("target", state.pool_target)):
        assert pool.images is not None
        tensors[f"pool {name}"] = pool.images
    modules: dict[str, nn.Module] = state.networks.trained() | dict(state.averages)
    for name, module in modules.items():
        tensors |= {f"{name} {key}": value for key, value in module.state_dict().items()}
    for name, optimizer in state.optimizers.by_name().items():
        for index, parts in enumerate(optimizer.state.values()):
            tensors |= {f"{name} {index} {key}": value for key, value in parts.items()}
    return tensors


def test_an_update_changes_its_state_in_place() -> None:
    trainer, [member] = trainer_of(trial_of("cycada.yaml"), CPU)
    trainer._update([member])
    before = {name: (value.data_ptr(), value.clone()) for name, value in tensors_of(member).items()}
    trainer._update([member])
    after = tensors_of(member)
    assert {name: value.data_ptr() for name, value in after.items()} == {
        name: place for name, (place, _) in before.items()
    }
    changed = {name for name, value in after.items() if not torch.equal(value, before[name][1])}
    assert {"sums", "finite", "pool source", "pool target"} <= changed
