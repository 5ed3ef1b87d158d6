from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from support.tiny_trial import make_record, make_spec, make_state

from adaptune.errors import CheckpointError
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint_format import (
    FORMAT,
    MID_EPOCH_FILE,
    ResumePoint,
    Snapshot,
    contents_of_trial,
    decode,
    earlier_file,
    earlier_starts,
    encode,
    epoch_file,
    eval_weights,
    load_resume_point,
    newest_first,
    sizes_by_epoch,
    stored_digest,
)
from adaptune.training.state import TrainingState


@pytest.fixture
def state() -> TrainingState:
    return make_state(make_spec(classifier_ema_decay=0.9))


def file_of(state: TrainingState, pools: Sequence[object] = (), **options: Any) -> bytes:
    point = options.get("point", ResumePoint())
    return b"".join(encode([Snapshot(options.get("identity", ""), state, point)], pools))


def signed(contents: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


@pytest.mark.parametrize(
    "point", [ResumePoint(), ResumePoint(make_record(3), {"task": 0.5, "cycle": 2.0}, updates=7)]
)
def test_contents_survive_encoding(point: ResumePoint, state: TrainingState) -> None:
    pools = [{"source": torch.ones(1, 1, 4, 4), "target": None}]
    contents = decode(file_of(state, pools, point=point), "x.pt")
    assert load_resume_point(contents) == point
    assert contents["format"] == FORMAT
    torch.testing.assert_close(contents["pools"], pools)
    torch.testing.assert_close(contents["state"], state.state_dict(), rtol=0, atol=0)


def test_the_weights_for_evaluation_have_the_statistics_of_the_evaluation() -> None:
    state = make_state(make_spec(classifier="dtn", size=32, classifier_ema_decay=0.9))
    name = "net.1.running_mean"
    state.eval_buffers = {"f_t": {name: torch.full((64,), 2.0)}}
    contents = decode(file_of(state), "x.pt")
    weights = eval_weights(contents, "f_t")
    average = contents["state"]["averages"]["f_t"]
    assert torch.equal(weights.pop(name), torch.full((64,), 2.0))
    assert average[name].abs().max() == 0
    assert all(torch.equal(value, average[key]) for key, value in weights.items())
    del contents["state"]["eval_buffers"]  # of an earlier version
    assert torch.equal(eval_weights(contents, "f_t")[name], average[name])


@pytest.mark.parametrize("position", [0, 40, 1000, -1])
def test_a_flipped_bit_is_found(position: int, state: TrainingState) -> None:
    raw = bytearray(file_of(state))
    raw[position] ^= 1
    with pytest.raises(CheckpointError, match=r"checkpoint x\.pt is damaged"):
        decode(bytes(raw), "x.pt")


@pytest.mark.parametrize("size", [0, 16, 5000])
def test_a_truncated_checkpoint_is_found(size: int, state: TrainingState) -> None:
    raw = file_of(state)
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


@pytest.mark.parametrize("body", [b"", b"no pickle", signed([1])[32:]])
def test_a_foreign_file_with_a_digest_is_refused(body: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"x\.pt is no checkpoint of adaptune"):
        decode(hashlib.sha256(body).digest() + body, "x.pt")


def test_a_checkpoint_names_its_trial(state: TrainingState) -> None:
    raw = file_of(state, identity="ours")
    contents = decode(raw, "x.pt")
    assert contents_of_trial(contents, ("earlier", "ours"), "x.pt") == contents
    with pytest.raises(CheckpointError, match=r"x\.pt belongs to another trial"):
        contents_of_trial(contents, ("theirs",), "x.pt")
    assert stored_digest(raw) == hashlib.sha256(raw[32:]).hexdigest()


def test_the_newest_checkpoint_comes_first() -> None:
    sizes = {epoch_file(9999): 1, epoch_file(10000): 2, "epoch-0001.png": 3}
    assert sizes_by_epoch(sizes) == {9999: 1, 10000: 2}
    names = ["epoch-10000.pt", "epoch-9999.pt"]
    assert newest_first(sizes) == names
    assert newest_first(sizes | {MID_EPOCH_FILE: 4}) == [MID_EPOCH_FILE, *names]


def test_checkpoints_of_earlier_starts_have_names_of_their_own() -> None:
    names = [epoch_file(3), earlier_file(3, 2), earlier_file(3, 1), earlier_file(12, 10), "a.pt"]
    assert names[1] == "epoch-0003.earlier-2.pt"
    assert earlier_starts(names) == [1, 2, 10]
    assert earlier_starts(names, 3) == [1, 2]
    assert earlier_starts(names, 4) == []
    assert sizes_by_epoch(dict.fromkeys(names, 1)) == {3: 1}
    assert newest_first(dict.fromkeys(names, 1)) == [epoch_file(3)]


def test_weights_for_evaluation_are_the_average_if_there_is_one(state: TrainingState) -> None:
    average = state.averages["f_t"].module
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.add_(1.0)
    contents = decode(file_of(state), "x.pt")
    weights = eval_weights(contents, "f_t")
    torch.testing.assert_close(weights, dict(average.state_dict()), rtol=0, atol=0)
    live = dict(state.networks.g_st.state_dict())
    torch.testing.assert_close(eval_weights(contents, "g_st"), live, rtol=0, atol=0)


def test_weights_for_evaluation_load_into_a_classifier(state: TrainingState) -> None:
    contents = decode(file_of(state), "x.pt")
    classifier = build_classifier(state.spec.model.classifier, state.spec.data.source, 3)
    classifier.load_state_dict(eval_weights(contents, "f_t"))
    images = torch.zeros(2, 1, 16, 16)
    expected = state.eval_network("f_t")(images)
    torch.testing.assert_close(classifier.eval()(images), expected)
