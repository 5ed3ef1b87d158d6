"""A TensorBoard event file of a trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams, scalar

from adaptune.results.small_picture import small_picture
from adaptune.spec.distributions import Value
from adaptune.spec.schema import TrialSpec
from adaptune.training.metrics import metric_of
from adaptune.training.optimizers import learning_rates
from adaptune.training.record import ENSEMBLE, EpochRecord

_RGB = 3  # TensorBoard's number for the colours of a picture


class TensorBoardWriter:
    """An event file that is written in the calling thread.

    tensorboardX's SummaryWriter writes in a thread of its own. A full disk ends that thread, and a
    later event waits for it for ever.

    Args:
        folder: folder of the trial.
        spec: spec of the trial.
        values: its sampled values by dotted path.
        metric: metric that the search maximises.
    """

    def __init__(
        self, folder: Path, spec: TrialSpec, values: Mapping[str, Value], metric: str
    ) -> None:
        """Create the file.

        Raises:
            OSError: it cannot be created; the methods raise it if it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        self._writer = EventsWriter(str(folder / "events"))
        experiment, start, self._end = hparams(values, {_tag(metric): 0.0})
        self._write(0, experiment, start)

    def add(self, record: EpochRecord, grid: bytes | None = None) -> None:
        """Write a scalar per figure of the record and per learning rate, and the sample grid.

        Args:
            grid: PNG of the sample grid, if the trial has one.
        """
        figures = {name: value for name, value in record.flat().items() if isinstance(value, float)}
        progress = min(record.epoch / self._spec.training.epochs, 1.0)
        for name, rate in learning_rates(self._spec, progress).items():
            figures[f"learning_rate/{name}"] = rate
        summaries = [scalar(name, value) for name, value in figures.items()]
        if grid is not None:
            summaries += _picture(grid, f"sample grid of epoch {record.epoch}")
        self._write(record.epoch, *summaries)

    def end(self) -> None:
        """Write the end of the trial, and close the file."""
        try:
            self._write(self._spec.training.epochs, self._end)
        finally:
            self._writer.close()

    def _write(self, step: int, *summaries: Summary) -> None:
        for summary in summaries:
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()


def _tag(metric: str) -> str:
    """Return the scalar of a search's metric; `ensemble` ranks trials and has none."""
    if metric == ENSEMBLE:
        return "source_val_accuracy"
    return metric if metric_of(metric) else f"validator/{metric}"


def _picture(png: bytes, name: str) -> list[Summary]:
    small = small_picture(png, "jpeg", name)
    if small is None:
        return []
    contents, (width, height) = small
    image = Summary.Image(
        width=width, height=height, colorspace=_RGB, encoded_image_string=contents
    )
    return [Summary(value=[Summary.Value(tag="translations", image=image)])]
