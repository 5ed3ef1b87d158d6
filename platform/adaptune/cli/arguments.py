"""Positional arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsArgument = Annotated[Path, typer.Argument(help="results folder of a search")]
ExportArgument = Annotated[Path, typer.Argument(help="exported model, such as results/NAME/best")]
ImagesArgument = Annotated[list[Path], typer.Argument(help="image files and folders of images")]
