"""The model card describes the model."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pydantic import JsonValue
from support.calibrations import make_calibration

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


def test_the_model_card_has_tables_of_the_held_out_test(config: ExportConfig) -> None:
    estimate: JsonValue = {"value": 0.9, "ci95": [0.85, 0.951]}
    metrics: dict[str, JsonValue] = {
        "test_metrics": {
            "adapted": {"accuracy": estimate, "macro_f1": estimate},
            "source_only": {"accuracy": estimate, "macro_f1": estimate},
        },
        "target_test_recall": {"a cat|": estimate, "dog": None},
        "best_trial": 3,
    }
    lines = model_card(config, metrics).splitlines()
    start = lines.index("| model | accuracy | macro F1 |")
    assert lines[start + 1 : start + 4] == [
        "| --- | --- | --- |",
        "| adapted | 90.0 (85.0 to 95.1) | 90.0 (85.0 to 95.1) |",
        "| source only | 90.0 (85.0 to 95.1) | 90.0 (85.0 to 95.1) |",
    ]
    assert r"| a cat\| | 90.0 (85.0 to 95.1) |" in lines
    assert "| dog | no image |" in lines
    assert "| best_trial | 3 |" in lines
    assert not [line for line in lines if "test_metrics" in line or "target_test_recall" in line]


def test_the_model_card_tells_how_the_model_was_chosen(config: ExportConfig) -> None:
    estimate: JsonValue = {"value": 0.9, "ci95": [0.85, 0.95]}
    metrics: dict[str, JsonValue] = {
        "metric": "target_val_accuracy",
        "best_trial": 3,
        "best_epoch": 7,
        "trials_total": 16,
        "trials_pruned": 9,
        "trials_failed": 1,
        "search_verdict": "The search added 2 points.",
        "target_test_evaluations": 2,
        "target_test_size": 359,
        "baselines": [{"name": "no GAN", "setting": "task 1, x|y", "epoch": 4}],
        "test_metrics": {"adapted": {"accuracy": estimate}},
    }
    card = model_card(config, metrics)
    text = " ".join(card.split())
    assert (
        r"epoch 7 of trial 3, which has the highest target_val_accuracy of 16 trials, of which 9"
        " were stopped early and 1 failed. Seed: 3. The search added 2 points."
    ) in text
    lines = card.splitlines()
    assert r"| no GAN | task 1, x\|y | 4 |" in lines
    assert "The intervals come from 359 test images." in text
    assert "- 2 models of the search were evaluated on the test set" in text
    assert not [line for line in lines if line.startswith("| baselines")]
    other = " ".join(model_card(config, {"trial": 3}).split())
    assert "best checkpoint of one trial, by the objective of the search. Seed: 3." in other
    assert "It was not evaluated on the held-out test set." in other


def test_the_model_card_has_the_calibration(config: ExportConfig) -> None:
    calibrated = config.model_copy(update={"calibration": make_calibration()})
    card = model_card(calibrated, {})
    text = " ".join(card.split())
    assert "Its temperature by importance weights from source_val is 2:" in text.replace("\\", "")
    lines = card.splitlines()
    weighted = "| source_val, weighted (500 images, as informative as 120) | 10.0 | 2.0 |"
    assert weighted in lines
    assert "| target_val | 15.0 | 5.0 |" in lines
    assert "right in 95.0% of its answers" in text
    assert "abstain below a calibrated probability of 0.800." in text
    assert "answers for 70.0% of target_val, and is right in 94.0% of them." in text
    unlabelled = make_calibration(
        target_val_error=None,
        covered_target_val_accuracy=None,
        threshold_from="source_val",
        threshold=None,
        coverage=None,
    )
    card = model_card(config.model_copy(update={"calibration": unlabelled}), {})
    assert "| target_val |" not in card
    assert "No threshold of the probability makes 95.0% of the answers right." in card
    assert "That is an estimate from the weighted source_val" in card
    assert "calibrated probability" not in model_card(config, {})


def test_the_model_card_has_the_largest_difference_of_each_portable_file(
    config: ExportConfig,
) -> None:
    checks: JsonValue = {
        "classifier.onnx": {"largest_difference": 3.14e-7, "images": 16},
        "source_to_target.onnx": {"largest_difference": 1.0, "images": 16},
    }
    lines = model_card(config, {"portable_files": checks}).splitlines()
    assert "| classifier.onnx | 16 | 3.1e-07 of a probability |" in lines
    assert "| source_to_target.onnx | 16 | 1 of 255 |" in lines
    assert not [line for line in lines if line.startswith("| portable")]
    assert "## Portable files" not in model_card(config, {})


@pytest.mark.parametrize(
    ("form", "has_code"),
    [({"channels": 1}, True), ({"channels": 5}, False), ({"value_range": (0.0, 4095.0)}, False)],
)
def test_the_model_card_has_code_for_images_that_pillow_decodes(
    config: ExportConfig, form: dict[str, object], has_code: bool
) -> None:
    target = config.data.target.model_copy(update=form)
    data = config.data.model_copy(update={"target": target})
    checks: JsonValue = {"classifier.onnx": {"largest_difference": 0.0, "images": 16}}
    card = model_card(config.model_copy(update={"data": data}), {"portable_files": checks})
    assert ("import onnxruntime" in card) is has_code
    assert ("Repeat a grey image" in card) is (form == {"channels": 1})


def body(card: str) -> str:
    """Return a model card without its front matter."""
    start, front, rest = card.split("---\n", 2)
    assert not start
    assert front
    return rest


def test_the_model_card_describes_the_domains_and_the_classes(config: ExportConfig) -> None:
    lines = body(model_card(config, {})).splitlines()
    assert lines[0] == "# imagefolder:source → imagefolder:target"
    assert "| source | imagefolder:source | centre 24 px, resized to 16 px, RGB |" in lines
    assert "| target | imagefolder:target | centre 12 px, resized to 16 px, RGB |" in lines
    assert "3 classes: cat, dog, owl." in lines


@pytest.mark.parametrize(("channels", "colours"), [(1, "grey"), (5, "5 channels")])
def test_the_model_card_describes_images_without_a_crop(
    config: ExportConfig, channels: int, colours: str
) -> None:
    grey = config.data.source.model_copy(update={"crop": None, "channels": channels})
    data = config.data.model_copy(update={"source": grey})
    lines = model_card(config.model_copy(update={"data": data}), {}).splitlines()
    assert f"| source | imagefolder:source | 16 px, {colours} |" in lines


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
    tables = [number for number, line in enumerate(lines) if line.startswith("| --- |")]
    assert len(tables) >= 2
    assert {lines[number - 2] for number in tables} == {""}


def test_a_verdict_precedes_the_table_of_metrics_and_is_not_in_it(config: ExportConfig) -> None:
    lines = model_card(config, {"n": 1, "verdict": "It helped."}).splitlines()
    assert lines.index("It helped.") < lines.index("| metric | value |")
    assert not any(line.startswith("| verdict") for line in lines)


def with_names(config: ExportConfig, domain: str, class_names: tuple[str, ...]) -> ExportConfig:
    """Return the config with another source domain and other classes."""
    source = config.data.source.model_copy(update={"domain": domain})
    data = config.data.model_copy(update={"source": source})
    return config.model_copy(update={"data": data, "class_names": class_names})


def shown_lines(markdown: str) -> list[str]:
    """Return the text of each line of the rendered Markdown; none may have markup in it."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    lines = []
    for token in parser.parse(body(markdown)):
        assert token.type != "html_block"
        if token.type == "inline":
            assert token.children is not None
            kinds = {child.type for child in token.children}
            assert kinds <= {"text", "softbreak", "code_inline"}, token.content
            lines.append("".join(child.content for child in token.children))
    return lines


NAMES = [
    "<script>alert(1)</script>",
    "<img src=x>",
    "a|b",
    "`code`",
    "*a* **b** _c_ __d__ ~~e~~",
    "snake_case_name",
    "[text](javascript:alert(1))",
    "![image](http://a/b.png)",
    "[a][b]",
    "[a]: http://b",
    "a#b #",
    "C:\\folder\\*",
    "&lt;&amp;",
    "<http://a>",
    "$x$",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_they_are_and_never_as_markup(config: ExportConfig, name: str) -> None:
    card = model_card(with_names(config, f"parquet:{name}", (name, "dog")), {name: 1, "n": name})
    lines = shown_lines(card)
    assert lines[0] == f"parquet:{name} → imagefolder:target"
    assert f"parquet:{name}" in lines
    assert f"2 classes: {name}, dog." in lines
    assert lines.count(name) == 2  # as the name of a metric, and as a value


def test_a_verdict_is_shown_as_it_is(config: ExportConfig) -> None:
    verdict = "It helped: *f_T* has 80.0% (70.0% to 90.0%, 95%), <b>source only</b> 70.0%."
    assert verdict in shown_lines(model_card(config, {"verdict": verdict}))


def test_names_of_random_punctuation_are_shown_as_they_are(config: ExportConfig) -> None:
    randomness = random.Random(0)
    for _ in range(100):
        name = "".join(randomness.choices(string.punctuation + "ab1 ", k=12)).strip()
        lines = shown_lines(model_card(with_names(config, f"parquet:{name}x", (f"x{name}x",)), {}))
        assert lines[0] == f"parquet:{name}x → imagefolder:target"
        assert f"parquet:{name}x" in lines
        assert f"1 classes: x{name}x." in lines


def test_control_characters_are_shown_as_escapes(config: ExportConfig) -> None:
    name = "a\n\n# b\t\x1b[2J\u202e"
    lines = shown_lines(model_card(with_names(config, name, (name,)), {}))
    assert lines[0] == r"a\n\n# b\t\x1b[2J\u202e → imagefolder:target"
    assert r"1 classes: a\n\n# b\t\x1b[2J\u202e." in lines
