"""Validators on a sample of many images against those on all images, for trained classifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.registry import load_domain
from adaptune.spec.data import DomainSpec
from adaptune.training.validators import SAMPLES, VALIDATORS, ValidatorInputs, score_all

TRAINED_ON = 3000
# Updates and noise of the training images: from hardly trained to robust.
TRAININGS = [(20, 0.0), (60, 0.0), (150, 0.0), (400, 0.6), (800, 0.6)]


def pixels_and_labels(domain: str) -> tuple[Tensor, Tensor]:
    spec = DomainSpec(domain=domain, size=16, channels=1)
    loaded = load_domain(spec, root=Path("unused"), seed=0)
    images = loaded.images.take(np.arange(len(loaded.images)))
    return torch.from_numpy(images).flatten(1) / 127.5 - 1, torch.from_numpy(loaded.labels)


@pytest.fixture(scope="module")
def outputs() -> list[ValidatorInputs]:
    """Outputs of classifiers of digits, trained on grey ones, for coloured ones."""
    source, labels = pixels_and_labels("mnist5k")
    target, _ = pixels_and_labels("mnistm5k")
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))
    train, val = order.split([TRAINED_ON, len(order) - TRAINED_ON])
    recorded = []
    for steps, noise in TRAININGS:
        body, head = trained(source[train], labels[train], steps, noise)
        with torch.no_grad():
            source_features = body(source[val])
            target_features = body(target)
            recorded.append(
                ValidatorInputs(
                    source_logits=head(source_features).double().numpy(),
                    source_features=source_features.numpy(),
                    source_labels=labels[val].numpy(),
                    target_logits=head(target_features).double().numpy(),
                    target_features=target_features.numpy(),
                )
            )
    return recorded


def trained(
    images: Tensor, labels: Tensor, steps: int, noise: float
) -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(images.shape[1], 64), nn.ReLU())
        head = nn.Linear(64, 10)
        optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()])
        for _ in range(steps):
            batch = torch.randint(len(images), (64,))
            noisy = images[batch] + noise * torch.randn(64, images.shape[1])
            loss = F.cross_entropy(head(body(noisy)), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return body, head


@pytest.mark.slow
def test_a_sample_ranks_classifiers_as_all_images_do(
    outputs: list[ValidatorInputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = [score_all(inputs) for inputs in outputs]
    monkeypatch.setattr("adaptune.training.validators.SAMPLES", {})
    complete = [score_all(inputs) for inputs in outputs]
    assert max(SAMPLES.values()) <= len(outputs[0].target_logits)
    for name in VALIDATORS:
        scores = [epoch[name] for epoch in sampled]
        expected = [epoch[name] for epoch in complete]
        # K-means from another start agrees with itself by 0.94 only.
        assert spearmanr(scores, expected).statistic >= 0.85, name
        assert np.argmax(scores) == np.argmax(expected), name
