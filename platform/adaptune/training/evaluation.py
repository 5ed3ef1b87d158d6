"""Accuracy and loss of a classifier on labelled images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.batches import DeviceImages
from adaptune.training.distributed import all_sum, rank, world_size


@torch.no_grad()
def evaluate(classifier: nn.Module, images: DeviceImages, batch_size: int = 512) -> tuple[float, float]:
    """(accuracy in [0, 1], mean cross-entropy in nats) over all images, shared out over all workers."""
    classifier.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=images.device)
    for part in torch.arange(rank(), len(images), world_size()).split(batch_size):
        logits, labels = classifier(images.take(part)), images.labels_of(part)
        loss = F.cross_entropy(logits.double(), labels, reduction="sum")
        totals += torch.stack([(logits.argmax(dim=1) == labels).sum(), loss])
    hits, loss_sum = all_sum(totals).tolist()
    return hits / len(images), loss_sum / len(images)
