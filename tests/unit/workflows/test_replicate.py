"""`confirm` and `ablate` over simulated trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.fake_run import PLAN, make_summary, printed
from support.fake_search import make_record
from support.image_search import make_killed_search

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResultsError
from adaptune.evaluation.comparison import MeanScore
from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.summary import write_summary
from adaptune.evaluation.test_scores import count_evaluation, run_once
from adaptune.report.tables import replication_table
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import create_or_resume
from adaptune.spec import load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy
from adaptune.workflows import replicate as workflow
from adaptune.workflows.replicate import Replication, ablate, confirm, markdown_table

TESTS = {"source only": 0.7, "trial 0": 0.9, "full": 0.9, "no cycle": 0.8}


@dataclass
class Replications:
    """Trainings that were asked for, and the addresses of the clusters."""

    configurations: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    clusters: list[tuple[str | None, str]] = field(default_factory=list)

    @contextmanager
    def connect(self, address: str | None, name: str) -> Iterator[str]:
        self.clusters.append((address, name))
        yield ""

    def replicate(
        self,
        study: SearchStudy,
        spec: SearchSpec,
        configurations: Sequence[Configuration],
        seeds: Sequence[int],
        folder: Path,
        plan: Callable[[SearchSpec], PlacementPlan],
        console: Console,
    ) -> list[SeedResult]:
        assert plan(spec) is PLAN
        count_evaluation(study, f"{folder.name}: a model")
        folder.mkdir(exist_ok=True)
        self.configurations = [configuration.name for configuration in configurations]
        self.seeds += seeds
        self.folders.append(folder)
        results = []
        for seed in seeds:
            for name in ("source only", *self.configurations):
                short_name = name.partition(":")[0]
                accuracy = TESTS.get(short_name, 0.5) + seed / 1000
                results.append(SeedResult(name, seed, accuracy, accuracy))
        return results


@pytest.fixture
def replications(monkeypatch: pytest.MonkeyPatch) -> Replications:
    recorded = Replications()
    monkeypatch.setattr(workflow, "connect", recorded.connect)
    monkeypatch.setattr(workflow, "replicate", recorded.replicate)
    monkeypatch.setattr(workflow, "plan_on_cluster", lambda spec, folder, console, address: PLAN)
    return recorded


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=500, highlight=False)


def test_confirm_trains_the_best_configurations_under_new_seeds(
    killed: ResultsFolder, replications: Replications, console: Console
) -> None:
    result = confirm(killed.path, seeds=3, address="auto", console=console)
    assert replications.clusters == [("auto", "small-confirm")]
    assert replications.seeds == [1, 2, 3]
    assert replications.folders == [killed.path / "confirm"]
    [name] = replications.configurations  # the other trials have not finished
    assert name.startswith("trial 0: cycle=")
    assert result.folder == killed.path / "confirm"
    assert result.conclusion.startswith(f"{name}: ")
    assert "against source only: +20.0 points on the test" in result.conclusion
    assert len(result.results) == 6
    assert result.copied


@pytest.mark.parametrize("command", [confirm, ablate])
def test_evaluations_are_counted_in_the_study_of_the_search(
    killed: ResultsFolder, replications: Replications, command: Callable[..., Replication]
) -> None:
    name = command(killed.path, seeds=1).folder.name
    spec = load_spec(killed.spec)
    assert run_once(open_study(spec, killed.journal), "the best", dict)[1] == 2
    evaluations = str(read_study(spec, killed.journal).optuna_study.user_attrs)
    assert f"{name}: a model" in evaluations


def test_confirm_leaves_its_tables_and_prints_them(
    killed: ResultsFolder, replications: Replications, console: Console
) -> None:
    result = confirm(killed.path, seeds=2, console=console)
    folder = killed.path / "confirm"
    seeds = pq.read_table(folder / "confirm_seeds.parquet").to_pylist()
    assert len(seeds) == 4
    assert seeds[0] == {
        "configuration": "source only",
        "seed": 1,
        "target_val": 0.701,
        "target_test": 0.701,
    }
    means = pq.read_table(folder / "confirm.parquet").to_pylist()
    assert means[0]["configuration"] == "source only"
    assert means[0]["mean"] == pytest.approx(0.7015)
    assert replication_table(killed, "confirm").conclusion == result.conclusion.splitlines()
    markdown = (folder / "confirm.md").read_text()
    assert markdown.startswith("| configuration | seeds | test accuracy |\n|---|---|---|\n")
    assert markdown.endswith(f" |\n\n{result.conclusion}\n")
    assert printed(console) == f"{markdown}\nkept in {folder}\n"


def make_search_with_start_point(space: Path, *accuracies: float) -> ResultsFolder:
    """Results of trials with these accuracies, the first of which is a start point."""
    text = space.read_text().replace(
        "trials: 3", "trials: 3, start_points: [{loss_weights.cycle: 9}]"
    )
    space.write_text(text)
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    for accuracy in accuracies:
        trial = study.ask()
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    return folder


def test_confirm_trains_the_best_start_point_too_and_compares_it_with_the_best_trial(
    space: Path, replications: Replications, console: Console
) -> None:
    folder = make_search_with_start_point(space, 0.5, 0.75, 0.6)
    write_summary(make_summary(), folder.summary)
    result = confirm(folder.path, top=1, seeds=3, console=console)
    names = [name.partition(":")[0] for name in replications.configurations]
    assert names == ["trial 1", "trial 0"]
    line = result.conclusion.splitlines()[-1]
    assert line.startswith("The best trial, trial 1, against the best start point, trial 0: ")
    assert line.endswith(", -40.0 points on the test (-40.0 to -40.0, 95%; p 1, 3 seeds).")
    assert f"<p>{line}</p>" in folder.report.read_text()


def test_confirm_trains_a_start_point_that_is_among_the_best_once(
    space: Path, replications: Replications, console: Console
) -> None:
    folder = make_search_with_start_point(space, 0.7, 0.75, 0.6)
    confirm(folder.path, top=2, seeds=2, console=console)
    names = [name.partition(":")[0] for name in replications.configurations]
    assert names == ["trial 1", "trial 0"]


def test_confirm_of_a_search_whose_best_trial_is_a_start_point_names_it(
    space: Path, replications: Replications, console: Console
) -> None:
    folder = make_search_with_start_point(space, 0.8, 0.75)
    result = confirm(folder.path, top=1, seeds=2, console=console)
    assert len(replications.configurations) == 1
    assert result.conclusion.endswith(
        "\nThe best trial, trial 0, is a start point: the search added nothing to it."
    )


def test_confirm_trains_named_trials_and_compares_the_best_one_with_them(
    space: Path, replications: Replications, console: Console
) -> None:
    folder = make_search_with_start_point(space, 0.5, 0.75, 0.6)
    result = confirm(folder.path, top=1, trials=[2, 0, 1], seeds=3, console=console)
    names = [name.partition(":")[0] for name in replications.configurations]
    assert names == ["trial 1", "trial 0", "trial 2"]  # each once
    lines = result.conclusion.splitlines()[-3:]
    assert lines[0].startswith("The best trial, trial 1, against the best start point, trial 0: ")
    assert lines[1].startswith("The best trial, trial 1, against trial 2: ")
    assert lines[2] == (
        "The best trial, trial 1, against trial 0:"
        " -40.0 points on the test (-40.0 to -40.0, 95%; p 1, 3 seeds)."
    )


def test_confirm_writes_the_report_again(
    killed: ResultsFolder, replications: Replications, console: Console
) -> None:
    write_summary(make_summary(), killed.summary)
    confirm(killed.path, seeds=2, console=console)
    assert "<h3>Confirm</h3>" in killed.report.read_text()
    assert printed(console).endswith(f"report: {killed.report}\n")


def test_ablate_trains_the_best_trial_without_each_of_its_parts(
    killed: ResultsFolder, replications: Replications, console: Console
) -> None:
    result = ablate(killed.path, seeds=2, console=console)
    assert replications.clusters == [(None, "small-ablation")]
    assert replications.configurations == [
        "full",
        "pixel only",
        "feature only",
        "no cycle",
        "no semantic",
        "no feature",
    ]
    assert result.folder == killed.path / "ablation"
    assert result.conclusion == (
        "no identity, no gradient_penalty, no information, no confusion, no consistency: the same"
        " as full, in which these terms are off."
    )
    assert "| no cycle | 2 | 80.2 ± 0.1 |" in (result.folder / "ablation.md").read_text()


def test_an_ablation_of_everything_needs_no_conclusion(
    space: Path, replications: Replications, console: Console
) -> None:
    others = ("identity", "gradient_penalty", "information", "confusion", "consistency")
    weights = "".join(f"  {name}: 1\n" for name in others)
    text = space.read_text().replace("loss_weights:\n", f"loss_weights:\n{weights}")
    average = "training: {classifier_ema_decay: 0.9, "
    space.write_text(text.replace("training: {", average))
    killed = make_killed_search(space)
    result = ablate(killed.path, seeds=2, console=console)
    assert result.conclusion == ""
    markdown = (result.folder / "ablation.md").read_text()
    assert markdown.endswith(" |\n")
    assert printed(console) == f"{markdown}\nkept in {result.folder}\n"
    assert replication_table(killed, "ablation").conclusion == []


@pytest.mark.parametrize("command", [confirm, ablate])
def test_a_search_without_a_finished_trial_cannot_be_replicated(
    space: Path, replications: Replications, command: Callable[[Path], object]
) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    open_study(spec, folder.journal)
    with pytest.raises(ResultsError, match="no trial has finished yet; continue the search with"):
        command(folder.path)
    assert replications.clusters == []


def test_results_that_cannot_be_copied_are_kept(
    space: Path,
    tmp_path: Path,
    replications: Replications,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote = tmp_path / "remote"
    line = f"storage: {{out: {tmp_path / 'results'}}}"
    assert line in space.read_text()
    with_remote = f"storage: {{out: {tmp_path / 'results'}, remote: 'file://{remote}'}}"
    space.write_text(space.read_text().replace(line, with_remote))
    killed = make_killed_search(space)

    def lose_the_store(*arguments: Any) -> list[SeedResult]:
        remote.rename(tmp_path / "moved")
        remote.write_text("a file, not a folder")
        return replications.replicate(*arguments)

    monkeypatch.setattr(workflow, "replicate", lose_the_store)
    result = confirm(killed.path, seeds=2, console=console)
    assert not result.copied
    assert (killed.path / "confirm" / "confirm.md").exists()
    assert f"not copied to file://{remote}/small: " in printed(console)


def test_a_configuration_whose_trials_failed_is_in_the_table() -> None:
    means = [MeanScore("full", 2, 0.9, 0.01), MeanScore("no cycle", 0, None, None)]
    assert markdown_table(means).splitlines()[2:] == [
        "| full | 2 | 90.0 ± 1.0 |",
        "| no cycle | 0 | failed |",
    ]
