"""The front matter of a model card, as the Hugging Face Hub reads it."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from adaptune.artifacts.format import ExportConfig
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import METRICS

# The names and arguments of the Hub for the metrics of a test.
_HUB_METRICS: dict[str, tuple[str, dict[str, str]]] = {
    "accuracy": ("accuracy", {}),
    "mean_recall": ("recall", {"average": "macro"}),
    "macro_f1": ("f1", {"average": "macro"}),
    "auroc": ("roc_auc", {}),
}


def front_matter(
    config: ExportConfig, name: str | None, adapted: Mapping[str, Estimate] | None
) -> str:
    """Return YAML between lines of three dashes.

    Args:
        config: describes the model.
        name: name of the search; None if it is not known.
        adapted: metrics of the model on the held-out test set; None if it was not evaluated.
    """
    contents: dict[str, object] = {
        "library_name": "adaptune",
        "pipeline_tag": "image-classification",
        "tags": ["domain-adaptation", "image-to-image", config.method],
    }
    if adapted:
        contents["model-index"] = [_model(config, name or config.method, adapted)]
    text = yaml.safe_dump(contents, allow_unicode=True, sort_keys=False)
    return f"---\n{text}---\n"


def _model(config: ExportConfig, name: str, adapted: Mapping[str, Estimate]) -> dict[str, object]:
    target = config.data.target
    metrics = []
    for metric, estimate in adapted.items():
        kind, arguments = _HUB_METRICS[metric]
        interval = [round(bound, 4) for bound in estimate.ci95]
        metrics.append(
            {
                "type": kind,
                "value": round(estimate.value, 4),
                "name": f"{METRICS[metric]} on the held-out test set",
                "args": {**arguments, "confidence_interval_95": interval},
            }
        )
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": target.kind, "name": target.test or target.domain, "split": "test"},
        "metrics": metrics,
    }
    return {"name": name, "results": [result]}
