"""The verbs beside `search`: what is done with a search's results and with an export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptune.errors import ResultsError
from adaptune.spec.schema import DataSpec

if TYPE_CHECKING:
    from rich.console import Console

    from adaptune.report.tables import Table

ResultsArgument = Annotated[Path, typer.Argument(help="the results folder of a search")]
ExportArgument = Annotated[Path, typer.Argument(help="an export, such as results/NAME/best")]
ImagesArgument = Annotated[list[Path], typer.Argument(help="image files, and folders of them")]


class Direction(StrEnum):
    """Which generator translates."""

    SOURCE_TO_TARGET = "source_to_target"
    TARGET_TO_SOURCE = "target_to_source"


def status(results: ResultsArgument) -> None:
    """Show the trials of a search, be it running, killed or done."""
    from collections import Counter

    from rich.console import Console

    from adaptune.report import tables
    from adaptune.results.lifecycle import open_existing
    from adaptune.search import study as studies
    from adaptune.search.samplers import planned_trials
    from adaptune.search.study_storage import study_of
    from adaptune.search.trial import format_objective

    folder, spec = open_existing(results)
    study = study_of(folder, spec)
    counts = Counter(tables.STATES[trial.state.name] for trial in studies.started(study))
    console = Console(highlight=False)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    console.print(
        f"{spec.name}: {counts.total()} of {planned_trials(spec)} trials"
        + (f": {states}" if states else "")
    )
    metric = spec.search.metric
    best = next(iter(studies.ranked(study, running=True)), None)
    if best is not None:
        record = studies.best_record(best, metric) or {}
        value = format_objective(metric, record[studies.OBJECTIVE])
        console.print(f"best so far: trial {best.number}, epoch {record['epoch']}, {value}")
        _print_table(console, tables.trials(study, spec))


def report(results: ResultsArgument) -> None:
    """Show costs, each validator in validator_regrets, what confirm and ablate found; write report.html, which has plots."""
    import json

    from rich.console import Console

    from adaptune.report import tables
    from adaptune.report.page import write_report
    from adaptune.results.lifecycle import open_existing
    from adaptune.search.study import warm_start
    from adaptune.search.study_storage import study_of

    folder, spec = open_existing(results)
    if not folder.summary.exists():
        raise ResultsError(
            f"{folder.path} has no summary yet: the search has not ended; see `adaptune status`"
        )
    summary = json.loads(folder.summary.read_text())
    console = Console(highlight=False)
    console.print(summary["verdict"] + "\n")
    study = study_of(folder, spec)
    _print_table(console, tables.costs(summary))
    if summary.get("trials_sick"):
        console.print(
            "sick trials: " + ", ".join(f"{n} {what}" for what, n in summary["trials_sick"].items())
        )
    if warm := warm_start(study):
        console.print(warm, soft_wrap=True)
    _print_table(console, tables.front(study, spec))
    _print_table(console, tables.validators(study))
    for kind in ("confirm", "ablation"):
        repeated, said = tables.repeats(folder, kind)
        if repeated:
            console.print(f"{kind}:")
            _print_table(console, repeated)
            console.print("\n".join(said), soft_wrap=True)
    console.print(f"with plots: {write_report(folder, spec, study)}", soft_wrap=True)


def export(
    results: ResultsArgument,
    trial: Annotated[int | None, typer.Option(help="its number; the best one if not given")] = None,
    to: Annotated[
        Path | None, typer.Option(help="the folder; RESULTS/exports/NUMBER if not given")
    ] = None,
) -> None:
    """Export a trial's best checkpoint; target_test stays sealed."""
    from adaptune.artifacts.export import write_export
    from adaptune.data.registry import load_domain
    from adaptune.results.lifecycle import open_existing
    from adaptune.search import study as studies
    from adaptune.search.study_storage import study_of
    from adaptune.search.trial import make_job

    folder, spec = open_existing(results)
    chosen = _chosen(study_of(folder, spec), trial)
    record = studies.best_record(chosen, spec.search.metric)
    if record is None:
        raise ResultsError(
            f"trial {chosen.number} has not finished an epoch: it has no checkpoint to export"
        )
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
    direction: Annotated[
        Direction, typer.Option(help="from which domain to which")
    ] = Direction.SOURCE_TO_TARGET,
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

    model = artifacts.load_export(export)
    evaluation = artifacts.evaluate_export(model, data, root)
    low, high = evaluation.accuracy_ci95
    print(
        f"{data}: {evaluation.accuracy:.1%} of {evaluation.n} images ({low:.1%} to {high:.1%}, 95%)"
    )
    for name, recall in evaluation.recall.items():
        print(f"  {name:<16} {'no image' if recall is None else f'{recall:.1%}'}")
    if evaluation.seen_in_training:
        print(
            "The model was trained on this domain: the accuracy is no measure of how it does on new images."
        )
    if evaluation.includes_held_out_test:
        print(
            "The search's sealed test is among these images: whoever chooses by this accuracy opens it."
        )


def datasets() -> None:
    """List the domains that a spec can name."""
    from adaptune.data.registry import describe

    for name, line in describe().items():
        print(f"{name:<18} {line}")


VERBS = (status, report, export, predict, translate, evaluate, datasets)


def _print_table(console: Console, one: Table) -> None:
    """Nothing, where it has no rows."""
    from rich import box
    from rich.table import Table as RichTable

    if one:
        laid_out = RichTable(*one.head, box=box.SIMPLE)
        for row in one.rows:
            laid_out.add_row(*row)
        console.print(laid_out)


def _chosen(study: Any, number: int | None) -> Any:
    from adaptune.search import study as studies

    if number is None:
        best = studies.best_trial(study)
        if best is None:
            raise ResultsError("no trial has come to an end yet: name one with --trial")
        return best
    trials = {trial.number: trial for trial in studies.started(study)}
    if number not in trials:
        raise ResultsError(
            f"there is no trial {number}; there are {', '.join(map(str, trials)) or 'none'}"
        )
    return trials[number]
