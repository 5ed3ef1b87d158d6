"""The target classifier on a labelled domain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptune.artifacts.load import Export
from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED, Domain, Images, Labels
from adaptune.data.registry import load_domain
from adaptune.errors import DataError
from adaptune.training.significance import accuracy_interval

_SAME_DIGITS = frozenset({"mnist", "mnist5k", "mnistm5k"})


def evaluate_export(export: Export, domain: str, root: Path | str) -> dict[str, Any]:
    """Score the classifier on the labelled images of a domain such as `imagefolder:PATH` or `optdigits`.

    Images are prepared as the target domain's were; those of the source domain itself, as its own were.

    Returns:
        `domain`, `n`, `accuracy`, `accuracy_ci95` (exact), `class_names`, `recall` by class (None for one
        without images), `confusion` (a row a true class, a column a predicted one, counts), and
        `seen_in_training`: True where the domain is one that the model was trained on.

    Raises:
        DataError: the domain cannot be loaded, has no labels, or has other classes than the export.
    """
    images, labels = _labelled(export, domain, Path(root).expanduser())
    predicted = _predicted(export, images)
    return {
        "domain": domain,
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "accuracy_ci95": list(accuracy_interval(int((predicted == labels).sum()), len(labels))),
        "class_names": list(export.class_names),
        **_by_class(labels, predicted, export.class_names),
        "seen_in_training": _seen(export, domain),
    }


def _labelled(export: Export, name: str, root: Path) -> tuple[Images, Labels]:
    ours = export.domains
    form = (
        ours["source"] if name == ours["source"].domain != ours["target"].domain else ours["target"]
    )
    spec = form.model_copy(update={"domain": name, "limit": None})
    domain = load_domain(spec, root=root, seed=export.config["seed"])
    known = domain.labels != UNLABELLED
    if not known.any():
        raise DataError(f"domain {name} has no labels to evaluate against")
    return domain.images[known], _labels_of(export, domain)[known]


def _labels_of(export: Export, domain: Domain) -> Labels:
    """The labels, counted by the export's class names."""
    ours, theirs = export.class_names, domain.class_names
    if set(ours) != set(theirs):
        raise DataError(
            f"the export and {domain.name} must have the same classes:\n"
            f"  export: {', '.join(ours)}\n  {domain.name}: {', '.join(theirs)}"
        )
    new = np.array([*(ours.index(name) for name in theirs), UNLABELLED], dtype=np.int64)
    return new[domain.labels]


@torch.no_grad()
def _predicted(export: Export, images: Images, batch_size: int = 512) -> Labels:
    stock = DeviceImages(images, None, export.device)
    numbers = torch.arange(len(stock))
    parts = (numbers[start : start + batch_size] for start in range(0, len(stock), batch_size))
    labels: Labels = (
        torch.cat([export.classifier(stock.take(part)).argmax(dim=1) for part in parts])
        .cpu()
        .numpy()
    )
    return labels


def _by_class(labels: Labels, predicted: Labels, class_names: tuple[str, ...]) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix, recall_score

    numbers = list(range(len(class_names)))
    recalls = recall_score(labels, predicted, labels=numbers, average=None, zero_division=np.nan)
    return {
        "recall": {
            name: None if math.isnan(recall) else float(recall)
            for name, recall in zip(class_names, recalls, strict=True)
        },
        "confusion": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }


def _seen(export: Export, name: str) -> bool:
    trained_on = {form.domain for form in export.domains.values()}
    return name in trained_on or (name in _SAME_DIGITS and bool(trained_on & _SAME_DIGITS))
