"""An export with random weights, of any networks that a spec can name."""

from __future__ import annotations

from typing import Any

import torch

from adaptune.artifacts.export import export_config
from adaptune.artifacts.format import DIRECTIONS
from adaptune.artifacts.load import Export
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, build_generator


def random_export(
    classifier: dict[str, Any] | str = "lenet",
    generator: dict[str, Any] | None = None,
    class_names: tuple[str, ...] = ("cat", "dog", "owl"),
    **domain: Any,
) -> Export:
    """Return an export whose probabilities are spread between 0 and 1.

    Args:
        classifier: name of the classifier, or its section.
        generator: section of the generators; by default a small one.
        domain: form of the images; by default 32 px in colour.
    """
    if isinstance(classifier, str):
        classifier = {"name": classifier}
    data = {"domain": "imagefolder:x", "size": 32} | domain
    spec = TrialSpec.model_validate(
        {
            "data": {"source": data, "target": data | {"domain": "imagefolder:y"}},
            "model": {
                "classifier": classifier,
                "generator": generator or {"width": 4, "blocks": 1},
                "discriminator": {"layers": 1},
            },
        }
    )
    target = spec.data.target
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_classifier(spec.model.classifier, target, len(class_names)).train()
        images = torch.rand(8, target.channels, target.size, target.size) * 2 - 1
        with torch.no_grad():
            network(images)  # fills the statistics of batch norms
            logits = network.eval()(images)
            network.last_layer.weight.mul_(2 / logits.std())
        generators = {}
        for direction in DIRECTIONS:
            generators[direction] = build_generator(spec.model, target.channels, 0.2).eval()
    for module in (network, *generators.values()):
        module.requires_grad_(False)
    config = export_config(spec, class_names)
    return Export(config, network.train().eval(), generators, torch.device("cpu"))
