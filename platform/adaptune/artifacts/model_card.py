"""The model card of an export, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import JsonValue
from pydantic_core import to_json

from adaptune.artifacts.format import ExportConfig
from adaptune.spec.data import DomainSpec

_METHODS = {"cycada": "CyCADA (Hoffman et al. 2018)", "cyclegan": "CycleGAN (Zhu et al. 2017)"}


def model_card(config: ExportConfig, metrics: Mapping[str, JsonValue]) -> str:
    """Return the model card in Markdown.

    Args:
        config: describes the model.
        metrics: one row of the results each; nested metrics get dotted names. A text under
            `verdict` comes before the table.
    """
    source = config.data.source
    target = config.data.target
    verdict = metrics.get("verdict")
    table = {name: value for name, value in metrics.items() if name != "verdict"}
    environment = Environment(
        loader=PackageLoader("adaptune.artifacts", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _escape_cell
    return environment.get_template("model_card.md.jinja").render(
        config=config,
        method=_METHODS[config.method],
        images={"source": _describe_images(source), "target": _describe_images(target)},
        verdict=verdict,
        metrics=_rows(table),
    )


def _describe_images(domain: DomainSpec) -> str:
    colour = "RGB" if domain.channels == 3 else "grey"
    size = f"{domain.size} px, {colour}"
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


def _escape_cell(text: str) -> str:
    """Return text for a cell of a Markdown table, in which a bar would end the cell."""
    return text.replace("|", "\\|")
