"""Evaluation of f_T on a labelled domain."""

from __future__ import annotations

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
from adaptune.training.bootstrap import Bootstrap, Estimate
from adaptune.training.metrics import ACCURACY, Predictions
from adaptune.training.validation import predict_all


@dataclass(frozen=True)
class Evaluation:
    """The scores of f_T on the labelled images of a domain.

    Attributes:
        domain: the name of the domain.
        n: number of labelled images.
        accuracy: in [0, 1].
        accuracy_ci95: bounds of the exact 95% interval of the accuracy (Clopper & Pearson 1934).
        metrics: `accuracy`, `mean_recall`, `macro_f1` and, for two classes, `auroc`, each with its
            95% interval. Classes without images count in none.
        class_names: the classes, in the order of `confusion`.
        recall: recall by class name, in [0, 1]; None for a class without images.
        confusion: counts, [K, K]; one row per true class, one column per predicted class.
        seen_in_training: True if the model was trained on images of this domain.
        includes_held_out_test: True if the samples may include the held-out test set of the search:
            the domain shares samples with it, or with the target domain that it was withheld from.
    """

    domain: str
    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    metrics: dict[str, Estimate]
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
    predictions = Predictions(outputs.logits.cpu().numpy(), labels, export.class_names)
    bootstrap = Bootstrap({domain: predictions}, seed=export.config.seed)
    metrics = bootstrap.estimates(domain)
    confusion = predictions.confusion().astype(int)
    return Evaluation(
        domain=domain,
        n=len(labels),
        accuracy=metrics[ACCURACY].value,
        accuracy_ci95=metrics[ACCURACY].ci95,
        metrics=metrics,
        class_names=export.class_names,
        recall=predictions.recall(),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        seen_in_training=_seen_in_training(export, domain),
        includes_held_out_test=_includes_held_out_test(export, domain),
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


def _includes_held_out_test(export: Export, name: str) -> bool:
    target = export.config.data.target
    if target.test is not None:
        return share_samples(name, target.test)
    return share_samples(name, target.domain)


def _seen_in_training(export: Export, name: str) -> bool:
    return any(share_samples(name, domain.domain) for domain in export.domains.values())
