"""The files of an export, known to its writer and its reader."""

from __future__ import annotations

FORMAT = 1
CONFIG, METRICS, CARD, SUMS = "config.json", "metrics.json", "README.md", "SHA256SUMS"
CLASSIFIER = "classifier"
DIRECTIONS = ("source_to_target", "target_to_source")
# The networks of a checkpoint, by the names that their weights have in an export.
NETWORKS = {CLASSIFIER: "f_target"} | {direction: f"g_{direction}" for direction in DIRECTIONS}


def weights_file(name: str) -> str:
    return f"{name}.safetensors"


# What loading depends on. The model card is left out: its owner may well want to edit it.
CHECKED = (*map(weights_file, NETWORKS), CONFIG, METRICS)
ALL = (*CHECKED, CARD, SUMS)
