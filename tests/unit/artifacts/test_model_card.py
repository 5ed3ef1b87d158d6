"""The model card describes the model, and its Python code runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from adaptune.artifacts.format import ExportConfig
from adaptune.artifacts.load import Export
from adaptune.artifacts.model_card import model_card

Write = Callable[..., Path]


@pytest.fixture
def config(export: Export) -> ExportConfig:
    return export.config


def test_the_model_card_gives_verdict_metrics_and_loss_weights(
    tmp_path: Path, write: Write
) -> None:
    best = write(
        tmp_path / "best", verdict="Adaptation did not help.", gap_closed=None, accuracy=0.51239
    )
    card = (best / "README.md").read_text()
    for line in (
        "Adaptation did not help.",
        "| gap_closed | not known |",
        "| accuracy | 0.5124 |",
        "| cycle | 10 |",
    ):
        assert line in card.splitlines()


def test_the_python_of_the_model_card_runs_and_needs_neither_ray_nor_optuna(
    best: Path, image: Callable[..., Path]
) -> None:
    image(best.parent / "images" / "a.png")
    code = (best / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    code += "import sys; assert 'ray' not in sys.modules and 'optuna' not in sys.modules"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=best.parent, check=True, capture_output=True, text=True
    )
    assert run.stdout.startswith("images/a.png ")


def test_the_model_card_describes_the_domains_and_the_classes(config: ExportConfig) -> None:
    lines = model_card(config, {}).splitlines()
    assert lines[0] == "# imagefolder:source → imagefolder:target"
    assert "| source | imagefolder:source | centre 24 px, resized to 16 px, RGB |" in lines
    assert "| target | imagefolder:target | centre 12 px, resized to 16 px, RGB |" in lines
    assert "3 classes: cat, dog, owl." in lines


def test_the_model_card_describes_grey_images_without_a_crop(config: ExportConfig) -> None:
    grey = config.data.source.model_copy(update={"crop": None, "channels": 1})
    data = config.data.model_copy(update={"source": grey})
    lines = model_card(config.model_copy(update={"data": data}), {}).splitlines()
    assert "| source | imagefolder:source | 16 px, grey |" in lines


@pytest.mark.parametrize(
    ("method", "name"),
    [("cycada", "CyCADA (Hoffman et al. 2018)"), ("cyclegan", "CycleGAN (Zhu et al. 2017)")],
)
def test_the_model_card_names_the_paper_of_the_method(
    config: ExportConfig, method: str, name: str
) -> None:
    assert name in model_card(config.model_copy(update={"method": method}), {})


def test_nested_metrics_get_dotted_names_and_lists_are_shown_in_brackets(
    config: ExportConfig,
) -> None:
    metrics: dict[str, JsonValue] = {
        "test": {"ci95": [0.25, 0.123456], "n": 12, "resumed": False},
        "name": "a|b",
    }
    lines = model_card(config, metrics).splitlines()
    start = lines.index("| metric | value |")
    assert lines[start : start + 6] == [
        "| metric | value |",
        "| --- | --- |",
        "| test.ci95 | [0.25, 0.1235] |",
        "| test.n | 12 |",
        "| test.resumed | false |",
        "| name | a\\|b |",
    ]


def test_every_table_of_the_model_card_follows_an_empty_line(config: ExportConfig) -> None:
    lines = model_card(config, {"verdict": "It helped.", "n": 1}).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("| --- |"):
            assert lines[number - 2] == ""


def test_a_verdict_precedes_the_table_of_metrics_and_is_not_in_it(config: ExportConfig) -> None:
    lines = model_card(config, {"n": 1, "verdict": "It helped."}).splitlines()
    assert lines.index("It helped.") < lines.index("| metric | value |")
    assert not any(line.startswith("| verdict") for line in lines)


def test_a_domain_name_is_not_changed_in_the_title(config: ExportConfig) -> None:
    source = config.data.source.model_copy(update={"domain": "imagefolder:<a>&b"})
    data = config.data.model_copy(update={"source": source})
    card = model_card(config.model_copy(update={"data": data}), {})
    assert card.startswith("# imagefolder:<a>&b → imagefolder:target\n")
