from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_run import make_run, make_splits, make_tiny_search, printed
from support.tiny_trial import make_data, make_source_weights

from adaptune.data.domain import UNLABELLED
from adaptune.evaluation.baselines import train_baselines
from adaptune.evaluation.test_scores import Baselines
from adaptune.execution.base import SharedRefs
from adaptune.training.state import StateDict

WITHOUT_GAN = ["baseline information_only, 1 CPU", "baseline no_gan, 1 CPU"]
SUPERVISED = "baseline target_supervised, 1 CPU"


def have_equal_weights(first: StateDict | None, second: StateDict | None) -> bool:
    assert first is not None
    assert second is not None
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_no_baseline_is_trained_unless_it_is_wanted(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path)
    assert train_baselines(run, run.spec.trial({}), False) == Baselines()
    assert run.tasks.submitted == []


@pytest.mark.parametrize(
    ("wanted", "domain", "names"),
    [
        ("auto", "noise", [*WITHOUT_GAN, SUPERVISED]),
        ("auto", "parquet:target.parquet", WITHOUT_GAN),
        (True, "parquet:target.parquet", [*WITHOUT_GAN, SUPERVISED]),
    ],
)
def test_auto_trains_the_upper_bound_for_built_in_data_only(
    tmp_path: Path, wanted: Any, domain: str, names: list[str]
) -> None:
    run: Any = make_run(tmp_path, make_tiny_search(domain))
    baselines = train_baselines(run, run.spec.trial({}), wanted)
    assert run.tasks.submitted == names
    assert (baselines.target_supervised is not None) == (SUPERVISED in names)


def test_without_labels_left_for_training_there_is_no_upper_bound(tmp_path: Path) -> None:
    splits = make_splits()
    unlabelled = np.full_like(splits.withheld.target_train_labels, UNLABELLED)
    withheld = replace(splits.withheld, target_train_labels=unlabelled)
    run: Any = make_run(tmp_path, splits=replace(splits, withheld=withheld))
    baselines = train_baselines(run, run.spec.trial({}), True)
    assert baselines.target_supervised is None
    assert "target supervised is left out: all labelled" in printed(run.console)


def test_each_baseline_is_another_model(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path)
    spec = run.spec.trial({})
    f_s = make_source_weights(spec)
    run = replace(run, shared=SharedRefs(run.splits.trial, f_s))
    baselines = train_baselines(run, spec, True)
    assert not have_equal_weights(baselines.information_only, f_s)
    assert not have_equal_weights(baselines.information_only, baselines.no_gan)
    assert not have_equal_weights(baselines.no_gan, baselines.target_supervised)


def test_the_upper_bound_is_trained_on_labelled_images_only(tmp_path: Path) -> None:
    splits = make_splits()
    withheld = splits.withheld
    labelled = np.arange(1, len(withheld.target_train_labels), 2)
    labels = np.full_like(withheld.target_train_labels, UNLABELLED)
    labels[labelled] = withheld.target_train_labels[labelled]
    partly_labelled = replace(withheld, target_train_labels=labels)
    only_labelled = replace(
        withheld,
        target_train_images=withheld.target_train_images.subset(labelled),
        target_train_labels=withheld.target_train_labels[labelled],
    )
    weights = []
    for data in (partly_labelled, only_labelled):
        run = make_run(tmp_path, splits=replace(splits, withheld=data))
        weights.append(train_baselines(run, run.spec.trial({}), True).target_supervised)
    assert have_equal_weights(*weights)


def with_batch_norm(path: Path, *, adapt: bool) -> Any:
    """A run of a classifier with batch norm, whose f_S has random weights."""
    form = {"domain": "noise", "size": 32, "channels": 1}
    source = {"steps": 2, "batch_size": 4}
    training = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "source": source}
    spec = make_tiny_search(
        data={"source": form, "target": form},
        model={"classifier": {"name": "dtn"}},
        training=training | {"adapt_batch_norm": adapt},
    )
    splits = make_splits()
    data = make_data(32)
    withheld = replace(splits.withheld, target_train_images=data.target_train_images)
    splits = replace(splits, trial=data, withheld=withheld)
    weights = make_source_weights(spec.trial({}))
    run = make_run(path, spec, splits=splits)
    return replace(run, source_weights=weights, shared=SharedRefs(data, weights))


def statistics(weights: StateDict | None) -> StateDict:
    assert weights is not None
    return {name: value for name, value in weights.items() if "running" in name}


def test_all_baselines_get_the_batch_norm_statistics_of_the_target(tmp_path: Path) -> None:
    models: dict[bool, dict[str, StateDict | None]] = {}
    for adapt in (False, True):
        run = with_batch_norm(tmp_path / str(adapt), adapt=adapt)
        spec = run.spec.trial({})
        models[adapt] = dict(vars(train_baselines(run, spec, True)))
    assert models[False]["source_only"] is None
    models[False]["source_only"] = run.source_weights
    for name, adapted in models[True].items():
        plain = models[False][name]
        assert adapted is not None
        assert plain is not None
        changed = [key for key, value in adapted.items() if not torch.equal(value, plain[key])]
        assert {key for key in changed if "num_batches" not in key} == set(statistics(plain)), name


def test_source_only_gets_the_statistics_even_if_no_baseline_is_trained(tmp_path: Path) -> None:
    run = with_batch_norm(tmp_path, adapt=True)
    baselines = train_baselines(run, run.spec.trial({}), False)
    assert run.tasks.submitted == ["baseline source_only, 1 CPU"]
    assert baselines == Baselines(source_only=baselines.source_only)
    assert baselines.source_only is not None
