"""Evaluation of f_T on a labelled domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adaptune.artifacts.load import Export
from adaptune.data.array_types import Labels
from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED, Domain
from adaptune.data.image_set import ImageSet
from adaptune.data.registry import is_same_domain, load_domain, share_samples
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec
from adaptune.training.significance import accuracy_interval
from adaptune.training.validation import predict_all


@dataclass(frozen=True)
class Evaluation:
    """The scores of f_T on the labelled images of a domain.

    Attributes:
        domain: the name of the domain.
        n: number of labelled images.
        accuracy: in [0, 1].
        accuracy_ci95: bounds of the exact 95% interval of the accuracy (Clopper & Pearson 1934).
        class_names: the classes, in the order of `confusion`.
        recall: recall by class name, in [0, 1]; None for a class without images.
        confusion: counts, [K, K]; one row per true class, one column per predicted class.
        seen_in_training: True if the model was trained on images of this domain.
        includes_held_out_test: True if the domain shares samples with the export's target domain,
            so that they may include the held-out test set of the search.
    """

    domain: str
    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    class_names: tuple[str, ...]
    recall: dict[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    seen_in_training: bool
    includes_held_out_test: bool


def evaluate_export(export: Export, domain: str, root: Path | str) -> Evaluation:
    """Score f_T on the labelled images of a domain such as `imagefolder:PATH` or `optdigits`.

    Images are preprocessed like those of the target domain, except images of the source domain,
    which are preprocessed like those of the source domain in training. A domain is recognised
    however its path is spelt. It may lack classes of the export.

    Args:
        domain: the name of a domain, as in a search space file.
        root: the folder of torchvision's data sets.

    Raises:
        DataError: the domain cannot be loaded, has no labels, or has a class that the export does
            not have.
    """
    images, labels = _labelled_samples(export, domain, Path(root).expanduser())
    outputs = predict_all(export.classifier, DeviceImages(images, None, export.device))
    predicted: Labels = outputs.logits.argmax(dim=1).cpu().numpy()
    hits = int((predicted == labels).sum())
    return Evaluation(
        domain=domain,
        n=len(labels),
        accuracy=hits / len(labels),
        accuracy_ci95=accuracy_interval(hits, len(labels)),
        class_names=export.class_names,
        recall=_recall(labels, predicted, export.class_names),
        confusion=_confusion(labels, predicted, len(export.class_names)),
        seen_in_training=_seen_in_training(export, domain),
        includes_held_out_test=share_samples(domain, export.domains["target"].domain),
    )


def _labelled_samples(export: Export, name: str, root: Path) -> tuple[ImageSet, Labels]:
    preprocessing = _preprocessing(export, name)
    spec = preprocessing.model_copy(update={"domain": name, "limit": None})
    domain = load_domain(spec, root=root, seed=export.config.seed)
    labelled = np.flatnonzero(domain.labels != UNLABELLED)
    if not len(labelled):
        raise DataError(f"domain {name} has no labels to evaluate against")
    labels = _export_labels(export, domain)
    return domain.images.subset(labelled), labels[labelled]


def _preprocessing(export: Export, name: str) -> DomainSpec:
    source = export.domains["source"]
    target = export.domains["target"]
    if is_same_domain(name, source.domain) and not is_same_domain(name, target.domain):
        return source
    return target


def _export_labels(export: Export, domain: Domain) -> Labels:
    """Return the domain's labels as indices into the export's class names."""
    extra = [name for name in domain.class_names if name not in export.class_names]
    if extra:
        raise DataError(
            f"{domain.name} has classes that the export does not have: {', '.join(extra)}\n"
            f"  export: {', '.join(export.class_names)}\n"
            f"  {domain.name}: {', '.join(domain.class_names)}"
        )
    new_labels = [export.class_names.index(name) for name in domain.class_names]
    # UNLABELLED is -1, so it selects the last entry.
    table = np.array([*new_labels, UNLABELLED], dtype=np.int64)
    return table[domain.labels]


def _recall(
    labels: Labels, predicted: Labels, class_names: tuple[str, ...]
) -> dict[str, float | None]:
    from sklearn.metrics import recall_score

    indices = list(range(len(class_names)))
    recalls = recall_score(labels, predicted, labels=indices, average=None, zero_division=np.nan)
    by_class: dict[str, float | None] = {}
    for name, recall in zip(class_names, recalls, strict=True):
        by_class[name] = None if math.isnan(recall) else float(recall)
    return by_class


def _confusion(labels: Labels, predicted: Labels, classes: int) -> tuple[tuple[int, ...], ...]:
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=list(range(classes)))
    return tuple(tuple(row) for row in counts.tolist())


def _seen_in_training(export: Export, name: str) -> bool:
    return any(share_samples(name, domain.domain) for domain in export.domains.values())
