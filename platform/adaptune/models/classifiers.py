"""Classifiers: (N, C, H, W) in [-1, 1] → (N, K) logits. `features` gives what their last layer reads, (N, D)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet18


class LeNet(nn.Module):
    """The LeNet that ADDA and CyCADA use between MNIST and USPS: two 5×5 convolutions, two dense layers.

    `width` maps in the first convolution (20 there), the others in proportion: 5/2 of it, and 25 times.
    """

    def __init__(
        self, channels: int, size: int, classes: int, *, width: int = 20, dropout: float = 0.5
    ) -> None:
        super().__init__()
        edge = ((size - 4) // 2 - 4) // 2
        maps, hidden = width * 5 // 2, width * 25
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, maps, 5),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(maps * edge**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def features(self, x: Tensor) -> Tensor:
        return self.net[:-1](x)  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        return self.net[-1](features)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class DTN(nn.Module):
    """The classifier that CyCADA uses for SVHN: three stride-2 convolutions with batch norm, two dense layers."""

    def __init__(self, channels: int, size: int, classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        # Dropout grows with depth, in the ratio 0.1 : 0.3 : 0.5 of the published net.
        self.net = nn.Sequential(
            *_dtn_block(channels, 64, 0.2 * dropout),
            *_dtn_block(64, 128, 0.6 * dropout),
            *_dtn_block(128, 256, dropout),
            nn.Flatten(),
            nn.Linear(256 * (size // 8) ** 2, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(512, classes),
        )

    def features(self, x: Tensor) -> Tensor:
        return self.net[:-1](x)  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        return self.net[-1](features)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class ResNet18(nn.Module):
    """torchvision's resnet18, untrained, with a first convolution for C channels."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.net = resnet18(num_classes=classes)
        self.net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)

    def features(self, x: Tensor) -> Tensor:
        for name, layer in self.net.named_children():
            x = x if name == "fc" else layer(x)
        return x.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        return self.net.fc(features)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


Classifier = LeNet | DTN | ResNet18


def _dtn_block(channels: int, out: int, dropout: float) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, 5, stride=2, padding=2),
        nn.BatchNorm2d(out),
        nn.Dropout2d(dropout),
        nn.ReLU(inplace=True),
    ]
