"""Predictions of classifiers for labelled target images, computed by a Ray task."""

from __future__ import annotations

from collections.abc import Mapping

from adaptune.cluster.tasks import task_device
from adaptune.data.array_types import Labels
from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import ImageSet
from adaptune.search.driver import SearchRun
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.metrics import Predictions
from adaptune.training.state import StateDict
from adaptune.training.validation import predict_all


def predict(
    run: SearchRun,
    spec: TrialSpec,
    models: Mapping[str, StateDict],
    images: ImageSet,
    labels: Labels,
) -> dict[str, Predictions]:
    """Return the predictions of each model for N labelled target images.

    A node for trials computes them: the driver may be a laptop, or a pod of one CPU.

    Args:
        spec: a trial with the architecture of the models.
        models: weights by name.
    """
    threads = run.tasks.cpus_per_task
    task = run.tasks.submit(
        "evaluation",
        _predict,
        spec,
        dict(models),
        images,
        labels,
        run.splits.trial.class_names,
        threads,
        cpus=threads,
    )
    [predictions] = run.tasks.results([task])
    return predictions


def _predict(
    spec: TrialSpec,
    models: dict[str, StateDict],
    images: ImageSet,
    labels: Labels,
    class_names: tuple[str, ...],
    threads: int,
) -> dict[str, Predictions]:
    device = task_device(spec, threads)
    classifier = build_classifier(spec.model.classifier, spec.data.target, len(class_names))
    classifier.to(device)
    device_images = DeviceImages(images, labels, device, is_resident=False)
    predictions = {}
    for name, weights in models.items():
        classifier.load_state_dict(weights)
        outputs = predict_all(classifier, device_images)
        predictions[name] = outputs.predictions(device_images.labels, class_names)
    return predictions
