"""Confirmation and ablation of a search: configurations trained again under new seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from adaptune.cluster.connection import connect
from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResultsError
from adaptune.evaluation.ablation import ablations, inactive_ablations
from adaptune.evaluation.comparison import MeanScore, mean_scores
from adaptune.evaluation.confirmation import against_best_baseline, choose_configurations
from adaptune.evaluation.replication import Configuration, SeedResult, replicate
from adaptune.report.tables import format_mean
from adaptune.results.folder import ResultsFolder, join_uri, write_atomically, write_table
from adaptune.results.lease import DriverLease
from adaptune.results.lifecycle import hold_copy, open_existing
from adaptune.results.scratch import remove_scratch
from adaptune.spec.schema import SearchSpec
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy
from adaptune.training.metrics import ACCURACY, METRICS, judging_metric
from adaptune.workflows.finish import copy_to_remote, write_report_if_possible
from adaptune.workflows.plan import plan_on_cluster
from adaptune.workflows.session import session

Conclude = Callable[[list[SeedResult]], str]


@dataclass(frozen=True)
class Replication:
    """Result of `confirm` or `ablate`.

    Attributes:
        folder: folder of its tables.
        results: scores per configuration and seed.
        conclusion: what follows, in words; may be empty.
        copied: whether the results were copied to `storage.remote`, if the spec has one.
    """

    folder: Path
    results: list[SeedResult]
    conclusion: str
    copied: bool


def confirm(
    path: Path,
    *,
    top: int = 3,
    trials: Sequence[int] = (),
    seeds: int = 5,
    address: str | None = None,
    console: Console | None = None,
) -> Replication:
    """Train the best configurations of a search, and the best start point, under new seeds.

    Args:
        path: results folder of the search.
        top: number of best configurations; the best start point comes on top unless it is one.
        trials: numbers of further trials whose configurations are to be trained and compared.
        seeds: number of seeds.
        address: address of a running Ray cluster; None starts a local one.
        console: where progress is printed; None is standard output.

    Raises:
        ResultsError: the search has no finished trial or not one of `trials`, or the target has no
            labels.
    """
    folder, spec, study = _finished_search(path)
    chosen = choose_configurations(spec, study, top, trials)
    conclude = partial(chosen.conclude, metric=judging_metric(spec.search.metric))
    command = _Command("confirm", chosen.configurations, seeds, conclude)
    return _replicate(folder, spec, study, command, address, console)


def ablate(
    path: Path, *, seeds: int = 3, address: str | None = None, console: Console | None = None
) -> Replication:
    """Train the best trial again without each of its parts, under new seeds.

    Args and errors are those of `confirm`.
    """
    folder, spec, study = _finished_search(path)
    best = study.best_trial()
    assert best is not None
    configurations = ablations(spec, best.values)
    full = configurations[0]
    inactive = inactive_ablations(full)

    def conclude(results: list[SeedResult]) -> str:
        lines = []
        if inactive:
            names = ", ".join(inactive)
            lines.append(f"{names}: the same as full, in which these terms are off.")
        lines.append(against_best_baseline(results, full, judging_metric(spec.search.metric)))
        return "\n".join(lines).rstrip()

    command = _Command("ablation", configurations, seeds, conclude)
    return _replicate(folder, spec, study, command, address, console)


@dataclass(frozen=True)
class _Command:
    name: str
    configurations: Sequence[Configuration]
    seeds: int
    conclude: Conclude


def _finished_search(path: Path) -> tuple[ResultsFolder, SearchSpec, SearchStudy]:
    folder, spec = open_existing(path)
    study = read_study(spec, folder.journal)
    if study.best_trial() is None:
        raise ResultsError(
            f"{folder.path}: no trial has finished yet; continue the search with --resume"
        )
    return folder, spec, study


def _replicate(
    folder: ResultsFolder,
    spec: SearchSpec,
    study: SearchStudy,
    command: _Command,
    address: str | None,
    console: Console | None,
) -> Replication:
    """Train the configurations and leave the tables in `folder/<name of the command>`."""
    out = folder.path / command.name
    new_seeds = range(spec.seed + 1, spec.seed + 1 + command.seeds)
    with (
        DriverLease() as lease,
        session(folder, "The same command continues.") as terminal,
        connect(address, f"{spec.name}-{command.name}"),
    ):
        screen = console or terminal
        hold_copy(folder, lease)

        def plan(seed_spec: SearchSpec) -> PlacementPlan:
            return plan_on_cluster(seed_spec, folder, screen, address)

        writable_study = open_study(spec, folder.journal)
        results = replicate(
            writable_study, spec, command.configurations, new_seeds, out, plan, screen
        )
        text = command.conclude(results)
        metric = judging_metric(spec.search.metric)
        markdown = _write_tables(out, command.name, results, text, metric)
        screen.print(f"{markdown}\nkept in {out}")
        write_report_if_possible(folder, spec, study, screen)
        copied = copy_to_remote(folder, screen, lease)
        for seed in new_seeds:
            remove_scratch(_seed_folder(folder, command.name, seed))
    return Replication(out, results, text, copied)


def _seed_folder(folder: ResultsFolder, command: str, seed: int) -> ResultsFolder:
    parts = (command, f"seed-{seed}")
    remote = None if folder.remote is None else join_uri(folder.remote, *parts)
    return ResultsFolder(folder.path.joinpath(*parts), remote)


def _write_tables(out: Path, name: str, results: list[SeedResult], text: str, metric: str) -> str:
    """Write what was found as Parquet and Markdown; return the Markdown."""
    means = mean_scores(results)
    per_seed = pa.Table.from_pylist([asdict(result) for result in results])
    table = pa.Table.from_pylist([asdict(mean) for mean in means])
    write_table(out / f"{name}_seeds.parquet", per_seed)
    metadata = {"conclusion": text, "metric": metric}
    write_table(out / f"{name}.parquet", table.replace_schema_metadata(metadata))
    markdown = markdown_table(means, metric)
    if text:
        markdown += f"\n{text}\n"
    write_atomically(out / f"{name}.md", markdown)
    return markdown


def markdown_table(means: list[MeanScore], metric: str = ACCURACY) -> str:
    """Return the mean test scores with their standard errors as a Markdown table."""
    lines = [f"| configuration | seeds | test {METRICS[metric]} |", "|---|---|---|"]
    for row in means:
        score = format_mean(row.mean, row.standard_error)
        lines.append(f"| {row.configuration} | {row.seeds} | {score} |")
    return "\n".join([*lines, ""])
