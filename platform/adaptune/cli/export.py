"""The commands `export`, `predict`, `translate` and `evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from adaptune.cli.arguments import ExportArgument, ImagesArgument, ResultsArgument
from adaptune.spec.data import DataSpec
from adaptune.text import escape_control, tsv_cell


class Direction(StrEnum):
    """Direction of a translation."""

    SOURCE_TO_TARGET = "source_to_target"
    TARGET_TO_SOURCE = "target_to_source"


def export(
    results: ResultsArgument,
    trial: Annotated[
        int | None, typer.Option(help="number of the trial (default: the best one)")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="folder of the export (default: RESULTS/exports/NUMBER)")
    ] = None,
) -> None:
    """Export the best checkpoint of a trial.

    It is not evaluated on the held-out test set.
    """
    from adaptune.workflows.results_view import export_trial

    checkpoint, path = export_trial(results, trial, to)
    print(f"{checkpoint}, exported to {escape_control(str(path))}")


def predict(export: ExportArgument, images: ImagesArgument) -> None:
    """Classify images.

    Print one line per image, with path, class and probability, separated by tabs. Control
    characters in paths and class names are printed as escape sequences; a backslash is doubled.
    """
    from adaptune import artifacts
    from adaptune.cli.printing import stderr_console
    from adaptune.workflows.progress import StepProgress

    model = artifacts.load_export(export)
    progress = StepProgress(stderr_console(), "classifying images")
    for prediction in artifacts.predict(model, images, notify=progress):
        path = tsv_cell(str(prediction.path))
        class_name = tsv_cell(prediction.class_name)
        print(f"{path}\t{class_name}\t{prediction.probability:.4f}")


def translate(
    export: ExportArgument,
    images: ImagesArgument,
    to: Annotated[Path, typer.Option(help="folder of the PNG files")],
    direction: Annotated[
        Direction, typer.Option(help="direction of the translation")
    ] = Direction.SOURCE_TO_TARGET,
) -> None:
    """Translate images to the other domain.

    Print the paths of the PNG files.
    """
    from adaptune import artifacts
    from adaptune.cli.printing import stderr_console
    from adaptune.workflows.progress import StepProgress

    model = artifacts.load_export(export)
    progress = StepProgress(stderr_console(), "translating images")
    for path in artifacts.translate(model, images, to, direction.value, notify=progress):
        print(escape_control(str(path)))


def evaluate(
    export: ExportArgument,
    data: Annotated[str, typer.Option(help="labelled domain, such as imagefolder:PATH")],
    root: Annotated[Path, typer.Option(help="folder of torchvision's data sets")] = Path(
        DataSpec.model_fields["root"].default
    ),
) -> None:
    """Evaluate the classifier on a labelled domain."""
    from adaptune import artifacts
    from adaptune.training.metrics import ACCURACY, METRICS

    evaluation = artifacts.evaluate_export(artifacts.load_export(export), data, root)
    low, high = evaluation.accuracy_ci95
    domain = escape_control(data)
    print(
        f"{domain}: {evaluation.accuracy:.1%} of {evaluation.n} images"
        f" ({low:.1%} to {high:.1%}, 95%)"
    )
    for metric, label in METRICS.items():
        estimate = evaluation.metrics.get(metric)
        if metric != ACCURACY and estimate is not None:
            low, high = estimate.ci95
            print(f"{label}: {estimate.value:.1%} ({low:.1%} to {high:.1%}, 95%)")
    print("accuracy per class:")
    for name, recall in evaluation.recall.items():
        text = "no image" if recall is None else f"{recall:.1%}"
        print(f"  {escape_control(name):<16} {text}")
    if evaluation.seen_in_training:
        print(
            "The model was trained on this domain: the accuracy does not tell how it performs on"
            " new images."
        )
    if evaluation.includes_held_out_test:
        print(
            "These images include the held-out test set. Choosing a model by this accuracy"
            " invalidates the reported test score."
        )
