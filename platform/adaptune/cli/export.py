"""The commands `export`, `predict`, `translate` and `evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from adaptune.cli.arguments import ExportArgument, ImagesArgument, ResultsArgument
from adaptune.cli.image_progress import ImageProgress
from adaptune.cli.printing import open_output
from adaptune.spec.data import DataSpec
from adaptune.text import escape_control


class Format(StrEnum):
    """Format of an export."""

    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    PT2 = "pt2"


class TableFormat(StrEnum):
    """Format of a table of predictions."""

    TSV = "tsv"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


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
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "--format",
            help="also write programs that run without adaptune: onnx, pt2 (torch.export), or both"
            " by repeating the option; the weights (safetensors) are always written",
        ),
    ] = None,
) -> None:
    """Export the best checkpoint of a trial.

    It is not evaluated on the held-out test set. Programs (--format onnx, --format pt2) hold the
    preprocessing and the postprocessing. They are compared with torch on images of the search.
    """
    from adaptune.artifacts.format import PORTABLE_FORMATS
    from adaptune.workflows.export import export_trial

    portable = [name for name in PORTABLE_FORMATS if name in (formats or ())]
    exported = export_trial(results, trial, to, portable)
    print(f"{exported.checkpoint}, exported to {escape_control(str(exported.folder))}")
    if exported.uncalibrated is not None:
        print(f"its probabilities are not calibrated: {escape_control(exported.uncalibrated)}")


def predict(
    export: ExportArgument,
    images: ImagesArgument,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="format of the table")
    ] = TableFormat.TSV,
    to: Annotated[Path | None, typer.Option(help="file of the table (default: print it)")] = None,
) -> None:
    """Classify images.

    The table has one row per image: path, class, probability, the probability that is calibrated
    for the target, and whether it is high enough to accept the class. The last two are empty if the
    export has no calibration. TSV has no header; control characters in paths and class names are
    escape sequences, and a backslash is doubled. Images that cannot be read are named on standard
    error, and the exit status is then 1.
    """
    from adaptune import artifacts
    from adaptune.artifacts.image_files import image_files
    from adaptune.artifacts.prediction_table import write_predictions

    model = artifacts.load_export(export)
    with (
        ImageProgress("classified", len(image_files(images)), prints_rows=to is None) as progress,
        open_output(to, is_binary=table_format == TableFormat.PARQUET) as file,
    ):
        predictions = artifacts.predict(model, images, on_bad_image=progress.report)
        write_predictions(progress.each(predictions), table_format.value, file)
    progress.exit_if_failed()


def translate(
    export: ExportArgument,
    images: ImagesArgument,
    to: Annotated[Path, typer.Option(help="folder of the PNG files")],
    direction: Annotated[
        Direction, typer.Option(help="direction of the translation")
    ] = Direction.SOURCE_TO_TARGET,
    resize: Annotated[
        bool, typer.Option("--resize", help="crop and resize images as in training")
    ] = False,
    contact_sheets: Annotated[
        Path | None,
        typer.Option(help="folder of sheets that show images next to their translations"),
    ] = None,
) -> None:
    """Translate images to the other domain.

    Whole images are translated, those that are larger than in training in overlapping tiles. Images
    keep their paths within the folders that are named. Print the paths of the PNG files. Images
    that cannot be read are named on standard error, and the exit status is then 1.
    """
    from adaptune.artifacts.image_files import image_files
    from adaptune.artifacts.load import load_export
    from adaptune.artifacts.translate import Translator, translations

    translator = Translator(load_export(export), direction.value, resize=resize)
    with ImageProgress("translated", len(image_files(images)), prints_rows=True) as progress:
        written = translations(translator, images, to, contact_sheets, progress.report)
        for path in progress.each(written):
            print(escape_control(str(path)))
    progress.exit_if_failed()


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
