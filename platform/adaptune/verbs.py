"""The verbs beside `search`: what is done with a search's results and with an export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from adaptune.errors import ResultsError
from adaptune.spec.schema import DataSpec, SearchSpec

ResultsArgument = Annotated[Path, typer.Argument(help="the results folder of a search")]
ExportArgument = Annotated[Path, typer.Argument(help="an export, such as results/NAME/best")]
ImagesArgument = Annotated[list[Path], typer.Argument(help="image files, and folders of them")]


class Direction(StrEnum):
    """Which generator translates."""

    SOURCE_TO_TARGET = "source_to_target"
    TARGET_TO_SOURCE = "target_to_source"


def status(results: ResultsArgument) -> None:
    """Show the trials of a search, be it running, killed or done."""
    from rich.console import Console

    from adaptune.search import study as studies
    from adaptune.search.claim import reopen
    from adaptune.search.samplers import planned_trials
    from adaptune.search.storage import study_of
    from adaptune.search.trial import describe_guide

    folder, spec = reopen(results)
    study = study_of(folder, spec)
    trials = studies.started(study)
    counts: dict[str, int] = {}
    for trial in trials:
        counts[_STATES[trial.state.name]] = counts.get(_STATES[trial.state.name], 0) + 1
    console = Console(highlight=False)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    console.print(f"{spec.name}: {len(trials)} of {planned_trials(spec)} trials" + (f": {states}" if states else ""))
    metric = spec.search.metric
    best = next(iter(studies.ranked(study, running=True)), None)
    if best is not None:
        record = studies.best_record(best, metric) or {}
        value = describe_guide(metric, record[studies.GUIDE])
        console.print(f"best so far: trial {best.number}, epoch {record['epoch']}, {value}")
        console.print(_trials_table(trials, spec))


def report(results: ResultsArgument) -> None:
    """Show what a search cost, how each validator would have guided it, and what confirm and ablate found."""
    import json

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from adaptune.search.claim import reopen
    from adaptune.search.hindsight import hindsight
    from adaptune.search.storage import study_of

    folder, spec = reopen(results)
    if not folder.summary.exists():
        raise ResultsError(f"{folder.path} has no summary yet: the search has not ended; see `adaptune status`")
    summary = json.loads(folder.summary.read_text())
    console = Console(highlight=False)
    console.print(summary["verdict"] + "\n")
    costs = Table("device seconds", "", box=box.SIMPLE)
    for key, words in _COSTS.items():
        if summary.get(key) is not None:
            costs.add_row(words, f"{summary[key]:.0f}")
    console.print(costs)
    if summary.get("trials_sick"):
        console.print("sick trials: " + ", ".join(f"{n} {what}" for what, n in summary["trials_sick"].items()))
    if spec.search.warm_start:
        console.print(f"warm start: what lies in this space of {', '.join(spec.search.warm_start)} counted as seen")
    study = study_of(folder, spec)
    if spec.search.objectives > 1:
        console.print(_front(study, spec))
    judged = Table("as the guide", "rank correlation", "would choose", "regret, points of target_val", box=box.SIMPLE)
    for one in hindsight(study):
        correlation = "–" if one.correlation is None else f"{one.correlation:.2f}"
        judged.add_row(
            one.validator, correlation, f"trial {one.chosen_trial}, epoch {one.chosen_epoch}", f"{100 * one.regret:.1f}"
        )
    if judged.row_count:
        console.print(judged)
    for kind in ("confirm", "ablation"):
        table = folder.path / kind / f"{kind}.md"
        if table.exists():
            console.print(f"{kind}:\n\n{table.read_text()}", soft_wrap=True)


def export(
    results: ResultsArgument,
    trial: Annotated[int | None, typer.Option(help="its number; the best one if not given")] = None,
    to: Annotated[Path | None, typer.Option(help="the folder; RESULTS/exports/NUMBER if not given")] = None,
) -> None:
    """Export a trial's best checkpoint; target_test stays sealed."""
    from adaptune.artifacts.export import write_export
    from adaptune.data.registry import load_domain
    from adaptune.search import study as studies
    from adaptune.search.claim import reopen
    from adaptune.search.storage import study_of
    from adaptune.search.trial import make_job

    folder, spec = reopen(results)
    chosen = _chosen(study_of(folder, spec), trial)
    record = studies.best_record(chosen, spec.search.metric)
    if record is None:
        raise ResultsError(f"trial {chosen.number} has not finished an epoch: it has no checkpoint to export")
    job = make_job(spec, chosen.number, chosen.params, folder)
    source = load_domain(spec.data.source, root=Path(spec.data.root).expanduser(), seed=spec.seed)
    path = write_export(
        to or folder.path / "exports" / str(chosen.number),
        spec=job.spec,
        class_names=source.class_names,
        checkpoint=job.checkpoints.load(record["epoch"]),
        metrics={"trial": chosen.number, "epoch": record["epoch"]}
        | {key: value for key, value in record.items() if key.startswith("target_val")},
    )
    print(f"trial {chosen.number}, epoch {record['epoch']}, exported to {path}")


def predict(export: ExportArgument, images: ImagesArgument) -> None:
    """Classify images: a line each, path, class and probability, with tabs between."""
    from adaptune import artifacts

    for one in artifacts.predict(artifacts.load_export(export), images):
        print(f"{one.path}\t{one.class_name}\t{one.probability:.4f}")


def translate(
    export: ExportArgument,
    images: ImagesArgument,
    to: Annotated[Path, typer.Option(help="the folder of the PNGs")],
    direction: Annotated[Direction, typer.Option(help="from which domain to which")] = Direction.SOURCE_TO_TARGET,
) -> None:
    """Translate images to the other domain; prints the PNGs' paths."""
    from adaptune import artifacts

    for path in artifacts.translate(artifacts.load_export(export), images, to, direction.value):
        print(path)


def evaluate(
    export: ExportArgument,
    data: Annotated[str, typer.Option(help="a labelled domain, such as imagefolder:PATH")],
    root: Annotated[Path, typer.Option(help="where torchvision's data sets lie")] = Path(
        DataSpec.model_fields["root"].default
    ),
) -> None:
    """Score the classifier on a labelled domain."""
    from adaptune import artifacts

    figures = artifacts.evaluate_export(artifacts.load_export(export), data, root)
    low, high = figures["accuracy_ci95"]
    print(f"{data}: {figures['accuracy']:.1%} of {figures['n']} images ({low:.1%} to {high:.1%}, 95%)")
    for name, recall in figures["recall"].items():
        print(f"  {name:<16} {'no image' if recall is None else f'{recall:.1%}'}")
    if figures["seen_in_training"]:
        print("The model was trained on this domain: the accuracy is no measure of how it does on new images.")


def datasets() -> None:
    """List the domains that a spec can name."""
    from adaptune.data.registry import describe

    for name, line in describe().items():
        print(f"{name:<18} {line}")


VERBS = (status, report, export, predict, translate, evaluate, datasets)

_COSTS = {
    "device_s_useful": "of trials that ran to their end",
    "device_s_pruned": "of trials stopped early",
    "device_s_failed": "of failed trials",
    "device_s_overhead": "held without training or evaluation",
    "device_s_to_99_percent_of_best": "until 99% of the best was reached",
    "device_s_saved_by_stopping_estimated": "saved by stopping early (an estimate: had they run on at their pace)",
}
_STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "running or interrupted",
}


def _front(study: Any, spec: SearchSpec) -> Any:
    """The trials that no other beats in both objectives."""
    from rich import box
    from rich.table import Table

    from adaptune.search.trial import describe_guide, describe_values

    front = Table("Pareto front", "", "device seconds", "values", box=box.SIMPLE)
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        worth, seconds = trial.values
        guide = describe_guide(spec.search.metric, worth)
        front.add_row(f"trial {trial.number}", guide, f"{seconds:.0f}", describe_values(trial.params))
    return front


def _chosen(study: Any, number: int | None) -> Any:
    from adaptune.search import study as studies

    if number is None:
        best = studies.best_trial(study)
        if best is None:
            raise ResultsError("no trial has come to an end yet: name one with --trial")
        return best
    trials = {trial.number: trial for trial in studies.started(study)}
    if number not in trials:
        raise ResultsError(f"there is no trial {number}; there are {', '.join(map(str, trials)) or 'none'}")
    return trials[number]


def _trials_table(trials: list[Any], spec: SearchSpec) -> Any:
    from rich import box
    from rich.table import Table

    from adaptune.search import study as studies
    from adaptune.search.trial import describe_guide, describe_values

    metric = spec.search.metric
    table = Table("trial", "state", "epoch", "best epoch", metric.removesuffix("_accuracy"), "values", box=box.SIMPLE)
    for trial in trials:
        best = studies.best_record(trial, metric)
        table.add_row(
            str(trial.number),
            _STATES[trial.state.name],
            f"{max(studies.curve(trial), default=0)}/{spec.training.epochs}",
            str(best["epoch"]) if best else "",
            describe_guide(metric, best[studies.GUIDE]).split()[-1] if best else "",
            trial.user_attrs.get("error") or describe_values(trial.params),
        )
    return table
