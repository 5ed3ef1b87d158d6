from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.fake_calibration import group_worker, replace_calibration
from support.fake_run import PLAN, printed

from adaptune.cluster.doctor import Finding
from adaptune.errors import DataError, ResourceError
from adaptune.results.folder import ResultsFolder
from adaptune.spec import load_spec
from adaptune.workflows import plan
from adaptune.workflows.plan import describe_plan, plan_on_cluster


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_calibration(monkeypatch)
    monkeypatch.setattr(plan, "local_resources", lambda: {"CPU": 2.0, "GPU": 0.0})


def test_a_plan_describes_the_search(space: Path) -> None:
    text = describe_plan(load_spec(space))
    assert "cycle: {search: loguniform, low: 0.1, high: 30.0}" in text
    *lines, estimate = text.splitlines()
    assert estimate.startswith("# estimate: about ")
    assert " free, 24.6 kB for prepared images in " in estimate
    assert lines[-5:] == [
        "# 3 trials over loss_weights.cycle, by target_val_accuracy",
        "# 2 trial(s) at a time, each on 1 Ray Train worker(s) of 1 CPU",
        "# 2 epochs of 100 updates",
        "# asha may stop trials after epochs [1]",
        "# at most 600 updates of 64 pairs, if no trial is stopped early",
    ]


def test_a_plan_without_anything_to_search_or_to_stop(space: Path) -> None:
    text = describe_plan(load_spec(space, ["loss_weights.cycle=1", "search.scheduler=none"]))
    assert "# 3 trials over nothing, by target_val_accuracy\n" in text
    assert "# none may stop trials after epochs none\n" in text


def test_a_plan_says_that_a_model_of_curves_decides_after_any_epoch(space: Path) -> None:
    text = describe_plan(load_spec(space, ["search.scheduler=curves"]))
    assert "# curves may stop trials after epochs [1], and once it has a model after others" in text


def test_a_plan_names_what_differs_within_a_group(space: Path) -> None:
    feature = "loss_weights.feature={search: uniform, low: 0, high: 1}"
    text = describe_plan(load_spec(space, [feature, "search.classifiers_per_gan=3"]))
    assert "# groups of 3 trials share a GAN and differ in loss_weights.feature\n" in text


def test_a_plan_has_the_number_of_trials_per_gan_that_a_search_would_choose(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_calibration(monkeypatch, group_worker)
    feature = "loss_weights.feature={search: uniform, low: 0, high: 1}"
    automatic = "search.classifiers_per_gan=auto"
    text = describe_plan(load_spec(space, [feature, automatic, "search.trials=8"]))
    assert "  classifiers_per_gan: auto\n" in text
    assert "# at most 400 updates of 64 pairs" in text  # two groups of two epochs
    assert (
        "# groups of 4 trials share a GAN: an epoch takes 10.60 s, and each further trial adds"
        " 3.00 s\n# groups of 4 trials share a GAN and differ in loss_weights.feature\n"
    ) in text
    text = describe_plan(load_spec(space, [automatic]))
    assert "# no trials share a GAN: no searched value affects f_T or D_feat alone\n" in text


def test_a_plan_without_measurements_has_no_number_of_trials_per_gan(space: Path) -> None:
    changes = ["search.classifiers_per_gan=auto", "resources.workers_per_trial=64"]
    text = describe_plan(load_spec(space, changes))
    assert "# search.classifiers_per_gan: auto is measured before the first trial\n" in text


def test_a_plan_names_every_batch_size(space: Path) -> None:
    sizes = "training.batch_size={search: choice, values: [32, 64]}"
    text = describe_plan(load_spec(space, [sizes]))
    assert "updates of 32 or 64 pairs, if no trial is stopped early\n" in text


def test_a_plan_for_a_larger_machine_is_described_all_the_same(space: Path) -> None:
    text = describe_plan(load_spec(space, ["resources.workers_per_trial=64"]))
    assert "# not on this machine: a trial needs 64 worker(s) × 1 CPU = 64 CPU" in text


def test_a_plan_knows_the_names_of_the_domains(space: Path) -> None:
    with pytest.raises(DataError, match="there is no domain 'mnist6k'"):
        describe_plan(load_spec(space, ["data.source.domain=mnist6k"]))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Arguments of each check of a cluster's nodes, which finds one problem."""
    arguments: list[Any] = []

    def require_healthy_nodes(folder: Path | None, resources: object) -> list[Finding]:
        arguments.append((folder, resources))
        return [Finding("warning", "node b has torch 2.5, this machine has 2.6")]

    monkeypatch.setattr(plan, "require_healthy_nodes", require_healthy_nodes)
    monkeypatch.setattr(plan, "wait_for_plan", lambda spec, console: PLAN)
    return arguments


def test_the_nodes_of_a_local_cluster_are_not_checked(
    space: Path, tmp_path: Path, checks: list[Any]
) -> None:
    console = Console(file=StringIO())
    assert plan_on_cluster(load_spec(space), ResultsFolder(tmp_path), console, None) is PLAN
    assert checks == []


def test_warnings_about_the_nodes_of_a_cluster_are_printed(
    space: Path, tmp_path: Path, checks: list[Any]
) -> None:
    console = Console(file=StringIO(), width=200)
    assert plan_on_cluster(load_spec(space), ResultsFolder(tmp_path), console, "auto") is PLAN
    assert checks == [(tmp_path, PLAN.resources)]
    assert printed(console) == "node b has torch 2.5, this machine has 2.6\n"


def test_the_nodes_need_not_see_the_folder_of_a_search_with_an_object_store(
    space: Path, tmp_path: Path, checks: list[Any]
) -> None:
    folder = ResultsFolder(tmp_path, remote="s3://bucket/small")
    plan_on_cluster(load_spec(space), folder, Console(file=StringIO()), "auto")
    assert checks == [(None, PLAN.resources)]


def test_a_node_that_would_lose_trials_ends_the_search(
    space: Path, tmp_path: Path, checks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: object, resources: object) -> list[Finding]:
        raise ResourceError("node b cannot write to results")

    monkeypatch.setattr(plan, "require_healthy_nodes", refuse)
    with pytest.raises(ResourceError, match="node b cannot write"):
        plan_on_cluster(load_spec(space), ResultsFolder(tmp_path), Console(), "auto")
