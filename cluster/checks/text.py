"""Checks of the text of launch files, and what all checks share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
METRICS = "RAY_enable_metrics_collection"
AUTOSCALER_METRICS = "AUTOSCALER_METRIC_PORT"
DASHBOARD_METRICS = "DASHBOARD_METRIC_PORT"
METRICS_VARIABLES = (METRICS, AUTOSCALER_METRICS, DASHBOARD_METRICS)


def check_addresses(path: Path) -> Iterator[str]:
    """Yield a message for each line that makes a server listen on all addresses."""
    # This file contains the addresses as search strings.
    if not path.is_file() or path.suffix == ".pyc" or path == Path(__file__):
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "0.0.0.0" in line or "host=::" in line:
            yield f"line {number} listens on all addresses: {line.strip()}"


def check_metrics(path: Path) -> Iterator[str]:
    """Yield a message for each variable that a file which starts Ray does not set.

    The variables switch off Ray's Prometheus metrics, which Ray serves on all addresses and
    without a token.
    """
    text = path.read_text()
    for name in METRICS_VARIABLES:
        if name not in text:
            yield f"{name} is not set"


def check_image(image: str) -> Iterator[str]:
    """Yield a message if an image has neither a digest nor a tag other than latest."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and tag in ("", "latest"):
        yield f"image {image} has neither a digest nor a tag other than latest"


def check_dockerfile(path: Path) -> Iterator[str]:
    """Yield a message if the containers of an image run as root by default."""
    users = re.findall(r"^USER (\S+)$", path.read_text(), re.MULTILINE)
    if not users or users[-1] in ("root", "0"):
        yield "the last USER is root"


def pinned_ray_version() -> str:
    """Return the version of Ray that constraints.txt pins, and thus the image's version."""
    match = re.search(r"^ray==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    return match[1] if match else "no version"
