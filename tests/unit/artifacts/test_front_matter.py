"""The Hugging Face Hub can read the front matter."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard
from support.random_export import random_export

from adaptune.artifacts.front_matter import _HUB_METRICS, front_matter
from adaptune.artifacts.model_card import model_card
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import METRICS

CONFIG = random_export().config
ADAPTED = {
    "accuracy": Estimate(0.912345, (0.88, 0.94)),
    "macro_f1": Estimate(0.9, (0.87, 0.93)),
}


def read(text: str) -> ModelCard:
    return ModelCard(f"{text}\n# A model\n", ignore_metadata_errors=False)


def test_the_results_are_those_of_the_held_out_test_with_intervals() -> None:
    data = read(front_matter(CONFIG, "photos", ADAPTED)).data
    assert data.model_name == "photos"
    accuracy, f1 = data.eval_results
    assert (accuracy.task_type, accuracy.dataset_type) == ("image-classification", "imagefolder")
    assert (accuracy.dataset_name, accuracy.dataset_split) == ("imagefolder:y", "test")
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", 0.9123)
    assert accuracy.metric_name == "accuracy on the held-out test set"
    assert accuracy.metric_args == {"confidence_interval_95": [0.88, 0.94]}
    assert (f1.metric_type, f1.metric_value) == ("f1", 0.9)
    assert f1.metric_args == {"average": "macro", "confidence_interval_95": [0.87, 0.93]}


def test_all_metrics_have_a_name_on_the_hub() -> None:
    assert set(_HUB_METRICS) == set(METRICS)


def test_a_model_without_a_test_has_no_results() -> None:
    data = read(front_matter(CONFIG, None, None)).data
    assert data.eval_results is None
    assert data.pipeline_tag == "image-classification"
    assert data.library_name == "adaptune"
    assert data.tags == ["domain-adaptation", "image-to-image", "cycada"]


@pytest.mark.parametrize(
    "name", ["'quotes\" : #", "tab\tline\nbreak", "---", "犬 κ\u202e", "- a: [b]", "{{x}} %s", "no"]
)
def test_names_of_all_kinds_are_kept(name: str) -> None:
    target = CONFIG.data.target.model_copy(update={"test": f"imagefolder:{name}"})
    data = CONFIG.data.model_copy(update={"target": target})
    config = CONFIG.model_copy(update={"data": data})
    estimates = {"accuracy": {"value": 0.5, "ci95": [0.4, 0.6]}}
    card = model_card(config, {"name": name, "test_metrics": {"adapted": estimates}})
    stored = read(card).data
    assert stored.model_name == name
    assert stored.eval_results[0].dataset_name == f"imagefolder:{name}"
