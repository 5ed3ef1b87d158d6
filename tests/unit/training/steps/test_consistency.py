from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_step import run_step
from support.tiny_trial import make_batch, make_spec, make_state
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.spec.schema import TrialSpec
from adaptune.training.state import TrainingState
from adaptune.training.steps.consistency import consistency_terms, strong_view

# Nothing but this term and the task trains f_T.
WEIGHTS = {"consistency": 1.0, "feature": 0.0, "information": 0.0}


def consistent_spec(threshold: float = 0.0, mask: float = 0.0, **options: Any) -> TrialSpec:
    weights = WEIGHTS | options.pop("loss_weights", {})
    return make_spec(
        loss_weights=weights,
        classifier_ema_decay=0.9,
        consistency={"threshold": threshold, "mask": mask},
        **options,
    )


def with_another_teacher(state: TrainingState) -> TrainingState:
    """Move the teacher away from f_T, whose copy it is before the first update."""
    random = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in state.averages["f_t"].module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return state


def test_the_teacher_classifies_the_weak_view_and_f_t_the_strong_one() -> None:
    spec = consistent_spec(augment={"shift": 0.2})
    state = with_another_teacher(make_state(spec))
    batch = make_batch(spec, state)
    inputs: dict[str, Tensor] = {}

    def remember(name: str) -> Any:
        return lambda _, arguments, __: inputs.update({name: arguments[0]})

    state.averages["f_t"].module.register_forward_hook(remember("teacher"))
    state.networks.f_t.register_forward_hook(remember("f_t"))
    run_step(state, batch)

    strong = strong_view(state, batch.target)
    assert torch.equal(inputs["f_t"][-4:], strong)
    weak = inputs["teacher"]
    assert weak.shape == strong.shape
    assert not torch.equal(weak, batch.target)
    assert not torch.equal(weak, strong)


def test_f_t_learns_the_classes_of_the_teacher() -> None:
    spec = consistent_spec()
    state = with_another_teacher(make_state(spec))
    batch = make_batch(spec, state)
    teacher = state.averages["f_t"].module
    with torch.no_grad():
        labels = teacher(batch.target).argmax(dim=1)
        expected = F.cross_entropy(state.networks.f_t(strong_view(state, batch.target)), labels)
    terms = run_step(state, batch)
    torch.testing.assert_close(terms["consistency"], expected)
    assert terms["confident"] == 1


def test_images_of_which_the_teacher_is_not_sure_count_as_zero() -> None:
    state = make_state(consistent_spec(threshold=1.0))
    terms = run_step(state, make_batch(state.spec, state))
    assert terms["consistency"] == 0
    assert terms["confident"] == 0


def test_the_share_of_confident_images_is_that_of_the_threshold() -> None:
    state = make_state(consistent_spec())
    weak = make_batch(state.spec, state).target
    with torch.no_grad():
        confidences = state.averages["f_t"].module(weak).softmax(dim=1).amax(dim=1)
    second = confidences.sort(descending=True).values[1].item()
    state = make_state(consistent_spec(threshold=second - 1e-6))
    terms = consistency_terms(state, torch.zeros(4, 3), weak)
    assert terms["confident"] == 0.5


def test_the_teacher_gets_no_gradient_and_stays_in_eval_mode() -> None:
    state = make_state(consistent_spec(classifier="dtn", size=32))
    teacher = state.averages["f_t"].module
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    run_step(state, make_batch(state.spec, state))
    assert not teacher.training
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_strong_view_depends_on_the_update_and_has_masks() -> None:
    spec = consistent_spec(mask=0.5)
    state = make_state(spec)
    images = torch.ones(4, 1, 16, 16)
    first = strong_view(state, images)
    assert torch.equal(strong_view(state, images), first)
    assert 0.2 < (first == 0).float().mean() < 0.9
    state.step = 1
    assert not torch.equal(strong_view(state, images), first)


@pytest.mark.parametrize("weights", [{}, {"information": 0.3}])
def test_bf16_has_about_the_term_of_fp32(weights: dict[str, float]) -> None:
    terms = {}
    for enabled in (False, True):
        state = make_state(consistent_spec(loss_weights=weights | {"confusion": 1.0}))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            terms[enabled] = run_step(state, make_batch(state.spec, state))
    for name in ("consistency", "confusion"):
        assert terms[True][name].item() == pytest.approx(terms[False][name].item(), rel=0.05)
