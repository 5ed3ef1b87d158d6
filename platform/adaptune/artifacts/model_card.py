"""The model card of an export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adaptune import __version__
from adaptune.spec.schema import DomainSpec, TrialSpec

_METHODS = {"cycada": "CyCADA (Hoffman et al. 2018)", "cyclegan": "CycleGAN (Zhu et al. 2017)"}


def model_card(spec: TrialSpec, class_names: tuple[str, ...], metrics: Mapping[str, Any]) -> str:
    """Markdown. `metrics` holds only what JSON can; a text under `verdict` stands first of the results."""
    source, target = spec.data.source, spec.data.target
    verdict = metrics.get("verdict")
    figures = {key: value for key, value in metrics.items() if key != "verdict"}
    return "\n".join(
        [
            f"# {source.domain} → {target.domain}",
            "",
            f"An image classifier for the target domain, adapted from the labelled source domain by"
            f" {_METHODS[spec.method]}, and the two generators that translate images between the domains."
            f" Its loss weights were found by adaptune {__version__}.",
            "",
            "## Data",
            *_table(("domain", "data set", "images"), _data_rows(source, target)),
            "",
            f"{len(class_names)} classes: {', '.join(class_names)}.",
            "",
            "## Loss weights (λ)",
            *_table(("term", "λ"), ((term, f"{value:g}") for term, value in spec.loss_weights)),
            "",
            "## Results",
            *(["", str(verdict)] if verdict else []),
            *_table(("metric", "value"), _metric_rows(figures)),
            "",
            *_USE,
            "",
        ]
    )


_USE = [
    "## Use",
    "",
    "```python",
    "from pathlib import Path",
    "from adaptune.artifacts import load_export, predict",
    "",
    'export = load_export(Path("best"))  # checks SHA256SUMS; nothing is unpickled',
    'for prediction in predict(export, [Path("images")]):',
    "    print(prediction.path, prediction.class_name, prediction.probability)",
    "```",
    "",
    "or `adaptune predict best images/`, `adaptune translate best images/ --to translated/`.",
    "The probability is the softmax's and not calibrated. Images must be like those of the target domain.",
]


def _data_rows(source: DomainSpec, target: DomainSpec) -> Iterator[tuple[str, str, str]]:
    for role, images in (("source", source), ("target", target)):
        crop = "" if images.crop is None else f"centre {images.crop} px, resized to "
        yield (
            role,
            images.domain,
            f"{crop}{images.size} px, {'RGB' if images.channels == 3 else 'grey'}",
        )


def _metric_rows(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in metrics.items():
        if isinstance(value, dict):
            yield from _metric_rows(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _figure(value)


def _figure(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_figure, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [
        "",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines),
    ]
