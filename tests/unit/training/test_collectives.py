"""The collectives of two workers in an update of a trial."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.collectives import Collectives
from support.tiny_trial import make_images, make_spec, make_state
from support.two_workers import run_two_workers

from adaptune.spec.model import GeneratorSpec
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member

OF_CYCLEGAN = GeneratorSpec(name="resnet", width=64, blocks=9)
EVERY_TERM = {"information": 1, "confusion": 1, "consistency": 1, "feature": 1, "semantic": 1}
# The options of a trial, and its collectives by kind. The gradients of a network are one
# collective, as long as they take less than a bucket of DDP.
CASES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    # The gradients of G_st, G_ts, D_s, D_t and f_T.
    "cyclegan": ({"method": "cyclegan"}, {"allreduce": 5}),
    "cycada without statistics of a batch": (
        {"loss_weights": {"information": 0, "feature": 0}, "semantic_gate": None},
        {"allreduce": 5},
    ),
    # Those of D_feat and its accuracy, and logits for the information term.
    "cycada": ({"semantic_gate": None}, {"allreduce": 7, "allgather": 1}),
    # The task term, for the gate of the semantic term.
    "cycada with every term": (
        {"loss_weights": EVERY_TERM, "semantic_gate": 1.1, "classifier_ema_decay": 0.9},
        {"allreduce": 8, "allgather": 1},
    ),
    "cycada in parts": (
        {"semantic_gate": None, "accumulate": 4},
        {"allreduce": 7, "allgather": 1},
    ),
    # 46 MB of gradients per generator: three buckets, the first of which is small.
    "large generators": (
        {"method": "cyclegan", "generator": OF_CYCLEGAN},
        {"allreduce": 9},
    ),
}


def collectives_of(options: dict[str, Any]) -> list[str]:
    """Return the collectives of an update, after those in which DDP arranges its buckets."""
    options = dict(options)
    generator = options.pop("generator", None)
    spec = make_spec(batch_size=8, **options)
    if generator is not None:
        model = spec.model.model_copy(update={"generator": generator})
        spec = spec.model_copy(update={"model": model})
    state = make_state(spec)
    trainer = EpochTrainer(spec, make_images(spec, state), None)
    members = [Member(state)]
    for _ in range(2):
        trainer._update(members)
    collectives = Collectives()
    with collectives:
        trainer._update(members)
    return collectives.names


def work(rank: int, folder: Path) -> dict[str, list[str]]:
    return {case: collectives_of(options) for case, (options, _) in CASES.items()}


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[str]]]:
    return run_two_workers(work, tmp_path_factory.mktemp("ddp"))


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_the_collectives_of_an_update(case: str, workers: list[dict[str, list[str]]]) -> None:
    _, expected = CASES[case]
    first, second = (worker[case] for worker in workers)
    assert first == second
    assert Counter(first) == expected, f"{len(first)} collectives: {', '.join(first)}"
