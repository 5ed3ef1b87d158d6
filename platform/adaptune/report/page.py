"""`report.html`: one file that shows a search, and needs no other."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from jinja2 import Environment, PackageLoader, StrictUndefined

from adaptune.errors import ResultsError
from adaptune.report import figures, tables
from adaptune.results.folder import ResultsFolder, write_atomically
from adaptune.search.study import warm_start
from adaptune.search.trial import checkpoint_folder
from adaptune.spec import dump
from adaptune.spec.schema import SearchSpec


def write_report(folder: ResultsFolder, spec: SearchSpec, study: optuna.Study) -> Path:
    """Write the page of a search that has ended, from its summary and its study.

    Raises:
        ResultsError: the page cannot be written.
    """
    summary = json.loads(folder.summary.read_text(encoding="utf-8"))
    environment = Environment(
        loader=PackageLoader("adaptune.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("page.html.jinja").render(
        _contents(folder, spec, study, summary)
    )
    try:
        write_atomically(folder.report, page)
    except OSError as error:
        raise ResultsError(f"cannot write {folder.report}: {error.strerror}") from error
    return folder.report


def _contents(
    folder: ResultsFolder, spec: SearchSpec, study: optuna.Study, summary: Mapping[str, Any]
) -> dict[str, Any]:
    best = summary.get("best_trial")
    return {
        "spec": spec,
        "summary": summary,
        "accuracies": figures.accuracies(summary),
        "curves": figures.curves(study, spec, best),
        "values": figures.values(study, spec, best),
        "picture": _picture(folder, spec, summary),
        "warm_start": warm_start(study),
        "sick": summary.get("trials_sick") or {},
        "trials": tables.trials(study, spec),
        "validators": tables.validators(study),
        "costs": tables.costs(summary),
        "front": tables.front(study, spec),
        "repeats": {kind: tables.repeats(folder, kind) for kind in ("confirm", "ablation")},
        "yaml": dump(spec),
        "version": summary.get("version", ""),
    }


def _picture(folder: ResultsFolder, spec: SearchSpec, summary: Mapping[str, Any]) -> str | None:
    """What the generators make of images at the best epoch: a PNG as base64."""
    trial, epoch = summary.get("best_trial"), summary.get("best_epoch")
    if trial is None or epoch is None:
        return None
    png = checkpoint_folder(spec, trial, folder).picture(epoch)
    return None if png is None else base64.b64encode(png).decode()
