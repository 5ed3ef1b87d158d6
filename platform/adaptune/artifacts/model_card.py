"""The model card of an export, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, JsonValue
from pydantic_core import to_json

from adaptune.artifacts.format import ExportConfig, PortableCheck
from adaptune.artifacts.front_matter import front_matter
from adaptune.spec.data import DomainSpec
from adaptune.text import escape_control
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import METRICS

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Punctuation that is markup anywhere in a line, a bracket that would begin the target of a link,
# and an underscore that is not inside a word.
_MARKUP = re.compile(r"[\\`*|~$#]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
_METHODS = {"cycada": "CyCADA (Hoffman et al. 2018)", "cyclegan": "CycleGAN (Zhu et al. 2017)"}

_SHOWN_APART = ("verdict", "test_metrics", "target_test_recall", "portable_files", "baselines")


class _Baseline(BaseModel):
    """A baseline of a summary."""

    name: str
    setting: str
    epoch: int


class _Apart(BaseModel):
    """The metrics that have sentences or tables of their own; None if not known."""

    name: str | None = None
    metric: str | None = None
    best_trial: int | None = None
    best_epoch: int | None = None
    trials_total: int | None = None
    trials_pruned: int | None = None
    trials_failed: int | None = None
    search_verdict: str | None = None
    target_test_evaluations: int | None = None
    target_test_size: int | None = None
    baselines: list[_Baseline] | None = None
    test_metrics: dict[str, dict[str, Estimate]] | None = None
    target_test_recall: dict[str, Estimate | None] | None = None
    portable_files: dict[str, PortableCheck] | None = None


def model_card(config: ExportConfig, metrics: Mapping[str, JsonValue]) -> str:
    """Return the model card in Markdown.

    Args:
        config: describes the model.
        metrics: one row of the results each; nested metrics get dotted names. A text under
            `verdict` comes before the table; the test of a summary, under `test_metrics` and
            `target_test_recall`, has tables of its own.
    """
    source = config.data.source
    target = config.data.target
    verdict = metrics.get("verdict")
    table = {name: value for name, value in metrics.items() if name not in _SHOWN_APART}
    apart = _Apart.model_validate(metrics)
    environment = Environment(
        loader=PackageLoader("adaptune.artifacts", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        finalize=_escape,
    )
    body = environment.get_template("model_card.md.jinja").render(
        config=config,
        method=_METHODS[config.method],
        images={"source": _describe_images(source), "target": _describe_images(target)},
        verdict=verdict,
        metrics=_rows(table),
        calibration=config.calibration,
        percent=lambda share: f"{100 * share:.1f}",
        apart=apart,
        takes_rgb=_takes_rgb(target),
        names=_metric_names(apart),
        test_metrics=apart.test_metrics or {},
        recall=apart.target_test_recall or {},
        portable_files=apart.portable_files or {},
    )
    adapted = (apart.test_metrics or {}).get("adapted")
    return front_matter(config, apart.name, adapted) + body


def _takes_rgb(domain: DomainSpec) -> bool:
    """Return whether programs take images of this domain as 8 bits of RGB."""
    is_deep = any(high > 255 for _, high in domain.intervals or ())
    return domain.channels in (1, 3) and not is_deep


def _metric_names(apart: _Apart) -> dict[str, str]:
    """Return the names of the metrics that all models have, by their keys."""
    models = (apart.test_metrics or {}).values()
    names = {}
    for key, name in METRICS.items():
        if all(key in estimates for estimates in models):
            names[key] = name
    return names


def _describe_images(domain: DomainSpec) -> str:
    colours = {1: "grey", 3: "RGB"}.get(domain.channels, f"{domain.channels} channels")
    size = f"{domain.size} px, {colours}"
    if domain.crop is None:
        return size
    return f"centre {domain.crop} px, resized to {size}"


def _rows(metrics: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _rows(value, f"{name}.")
        else:
            yield name, _format_value(value)


def _format_value(value: JsonValue) -> str:
    if value is None:
        return "not known"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_format_value, value)) + "]"
    return to_json(value).decode()


def _escape(value: object) -> str:
    """Return the Markdown that shows a value as plain text in one line, in a table as well."""
    text = _MARKUP.sub(r"\\\g<0>", escape_control(str(value)))
    for character, entity in _ENTITIES.items():
        text = text.replace(character, entity)
    return text
