"""The check of a backbone and of its pretrained weights before a search."""

from __future__ import annotations

import torch

from adaptune.errors import SpecError
from adaptune.models.backbones import Backbone
from adaptune.spec.data import DomainSpec
from adaptune.spec.model import ClassifierSpec
from adaptune.spec.schema import SearchSpec
from adaptune.training.build import build_classifier
from adaptune.training.pretrained import file_sha256, forget_pretrained, read_pretrained

_CLASSES = 2  # any number: the last layer is new


def with_checked_classifier(spec: SearchSpec) -> SearchSpec:
    """Return the spec with the absolute path and the hash of the classifier's pretrained weights.

    Workers and later commands then refuse another file.

    Raises:
        SpecError: the library lacks the network, the network does not take the images, or the
            weights cannot be used.
    """
    classifier = spec.trial({}).model.classifier.resolved()
    if classifier.library is None:
        return spec
    _check(classifier, spec.data.source)
    if classifier.weights_file is not None:
        digest = file_sha256(classifier.weights_file)
        classifier = classifier.model_copy(update={"weights_sha256": digest})
    model = spec.model.model_copy(update={"classifier": classifier})
    return spec.model_copy(update={"model": model})


def _check(classifier: ClassifierSpec, images: DomainSpec) -> None:
    with torch.device("meta"):
        network = build_classifier(classifier, images, _CLASSES).eval()
        try:
            network(torch.zeros(1, images.channels, images.size, images.size))
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise SpecError(
                f"{classifier.name} does not take images of {images.size} px: {reason}; take"
                " another data.source.size or another network"
            ) from error
    if classifier.is_pretrained:
        _check_weights(network, classifier, images.size)


def _check_weights(network: torch.nn.Module, classifier: ClassifierSpec, size: int) -> None:
    assert isinstance(network, Backbone)
    weights = read_pretrained(classifier, size)
    try:
        network.body_weights(weights)
    except ValueError as error:
        raise SpecError(
            f"the pretrained weights {classifier.weights} do not fit {classifier.name}: {error};"
            " give the state dict of this network as model.classifier.weights"
        ) from error
    finally:
        forget_pretrained()  # f_S is trained in another process
