from __future__ import annotations

import hashlib
import io

import pytest
import torch
from support.tiny_trial import make_record, make_spec, make_state

from adaptune.errors import CheckpointError
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint_format import (
    FORMAT,
    ResumePoint,
    decode,
    encode,
    eval_weights,
    load_resume_point,
)
from adaptune.training.state import TrainingState


@pytest.fixture
def state() -> TrainingState:
    return make_state(make_spec(classifier_ema_decay=0.9))


def signed(contents: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


@pytest.mark.parametrize(
    "point", [ResumePoint(), ResumePoint(make_record(3), {"task": 0.5, "cycle": 2.0}, updates=7)]
)
def test_contents_survive_encoding(point: ResumePoint, state: TrainingState) -> None:
    pools = [{"source": torch.ones(1, 1, 4, 4), "target": None}]
    contents = decode(encode(state, pools, point), "x.pt")
    assert load_resume_point(contents) == point
    assert contents["format"] == FORMAT
    torch.testing.assert_close(contents["pools"], pools)
    torch.testing.assert_close(contents["state"], state.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("position", [0, 40, 1000, -1])
def test_a_flipped_bit_is_found(position: int, state: TrainingState) -> None:
    raw = bytearray(encode(state, [], ResumePoint()))
    raw[position] ^= 1
    with pytest.raises(CheckpointError, match=r"checkpoint x\.pt is damaged"):
        decode(bytes(raw), "x.pt")


@pytest.mark.parametrize("size", [0, 16, 5000])
def test_a_truncated_checkpoint_is_found(size: int, state: TrainingState) -> None:
    raw = encode(state, [], ResumePoint())
    with pytest.raises(CheckpointError, match="damaged"):
        decode(raw[:size], "x.pt")


@pytest.mark.parametrize(("contents", "version"), [({}, 1), ({"format": 99}, 99)])
def test_another_format_is_refused_with_both_versions(
    contents: dict[str, object], version: int
) -> None:
    with pytest.raises(
        CheckpointError, match=rf"x\.pt has format {version};.* reads format {FORMAT}"
    ):
        decode(signed(contents), "x.pt")


def test_weights_for_evaluation_are_the_average_if_there_is_one(state: TrainingState) -> None:
    average = state.averages["f_t"].module
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.add_(1.0)
    contents = decode(encode(state, [], ResumePoint()), "x.pt")
    weights = eval_weights(contents, "f_t")
    torch.testing.assert_close(weights, dict(average.state_dict()), rtol=0, atol=0)
    live = dict(state.networks.g_st.state_dict())
    torch.testing.assert_close(eval_weights(contents, "g_st"), live, rtol=0, atol=0)


def test_weights_for_evaluation_load_into_a_classifier(state: TrainingState) -> None:
    contents = decode(encode(state, [], ResumePoint()), "x.pt")
    classifier = build_classifier(state.spec.model.classifier, state.spec.data.source, 3)
    classifier.load_state_dict(eval_weights(contents, "f_t"))
    images = torch.zeros(2, 1, 16, 16)
    expected = state.eval_network("f_t")(images)
    torch.testing.assert_close(classifier.eval()(images), expected)
