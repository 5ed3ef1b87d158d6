"""Classifiers for f_S and f_T: images (N, C, H, W) in [-1, 1] → logits (N, K)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from adaptune.models.backbones import Backbone


class LeNet(nn.Module):
    """The LeNet of ADDA and CyCADA for MNIST and USPS: two convolutions and two dense layers.

    Args:
        channels: C of the images.
        size: H = W of the images in px.
        classes: K.
        width: channels of the first convolution, even; the second one has 5/2 and the hidden dense
            layer 25 times as many.
        dropout: probability in [0, 1).
    """

    def __init__(
        self, channels: int, size: int, classes: int, *, width: int = 20, dropout: float = 0.5
    ) -> None:
        super().__init__()
        edge = ((size - 4) // 2 - 4) // 2
        second_width = width * 5 // 2
        hidden = width * 25
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, second_width, 5),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(second_width * edge**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    @property
    def last_layer(self) -> nn.Linear:
        """The linear layer that computes the logits."""
        return cast(nn.Linear, self.net[-1])

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the last layer: (N, C, H, W) in [-1, 1] → (N, 25 width)."""
        features: Tensor = self.net[:-1](x)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Apply the last layer: (N, 25 width) → (N, K) logits."""
        logits: Tensor = self.last_layer(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Classify images: (N, C, H, W) in [-1, 1] → (N, K) logits."""
        logits: Tensor = self.net(x)
        return logits


class DTN(nn.Module):
    """The classifier of CyCADA for SVHN: three stride-2 convolutions and two dense layers.

    Args:
        channels: C of the images.
        size: H = W of the images in px.
        classes: K.
        dropout: probability in [0, 1) before the last layer; it is smaller in the layers before.
    """

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

    @property
    def last_layer(self) -> nn.Linear:
        """The linear layer that computes the logits."""
        return cast(nn.Linear, self.net[-1])

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the last layer: (N, C, H, W) in [-1, 1] → (N, 512)."""
        features: Tensor = self.net[:-1](x)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Apply the last layer: (N, 512) → (N, K) logits."""
        logits: Tensor = self.last_layer(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Classify images: (N, C, H, W) in [-1, 1] → (N, K) logits."""
        logits: Tensor = self.net(x)
        return logits


class ResNet18(nn.Module):
    """torchvision's resnet18, untrained, with a first convolution for C channels.

    Args:
        channels: C of the images.
        classes: K.
    """

    def __init__(self, channels: int, classes: int) -> None:
        from torchvision.models import resnet18  # imports the compiler of torch, which is slow

        super().__init__()
        self.net = resnet18(num_classes=classes)
        self.net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)

    @property
    def last_layer(self) -> nn.Linear:
        """The linear layer that computes the logits."""
        return cast(nn.Linear, self.net.fc)

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the last layer: (N, C, H, W) in [-1, 1] → (N, 512)."""
        for name, layer in self.net.named_children():
            if name != "fc":
                x = layer(x)
        return x.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Apply the last layer: (N, 512) → (N, K) logits."""
        logits: Tensor = self.last_layer(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Classify images: (N, C, H, W) in [-1, 1] → (N, K) logits."""
        logits: Tensor = self.net(x)
        return logits


Classifier = LeNet | DTN | ResNet18 | Backbone


def _dtn_block(channels: int, out: int, dropout: float) -> list[nn.Module]:
    """Build a block that halves the resolution: (N, channels, H, W) → (N, out, H / 2, W / 2)."""
    return [
        nn.Conv2d(channels, out, 5, stride=2, padding=2),
        nn.BatchNorm2d(out),
        nn.Dropout2d(dropout),
        nn.ReLU(inplace=True),
    ]
