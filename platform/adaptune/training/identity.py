"""The identity of a trial: a digest of all that determines its numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from adaptune.data.splits import content_hash
from adaptune.spec.schema import TrialSpec
from adaptune.training.state import StateDict


@dataclass(frozen=True)
class TrialInputs:
    """Digests of what all trials of a search read, as SHA-256 in hexadecimal.

    Attributes:
        data: digest of the data.
        source_classifier: digest of the weights of f_S.
        earlier_source_classifiers: digests of f_S in earlier sessions, if training it again gave
            other weights. Finished trials may have used one of them.
    """

    data: str
    source_classifier: str
    earlier_source_classifiers: tuple[str, ...] = ()


def trial_identity(spec: TrialSpec, data: str, source_classifier: str) -> str:
    """Return the SHA-256 (hexadecimal) of all that determines the numbers of a trial.

    Args:
        spec: resolved spec of the trial, with its seed.
        data: digest of the data.
        source_classifier: digest of the weights of f_S.
    """
    settings = spec.model_dump_json(
        # Files may be at another place after a resume; their digests stand for them, and that of
        # f_S for the pretrained weights.
        exclude={
            "data": {"root": True, "source": {"domain"}, "target": {"domain"}},
            "model": {"classifier": {"weights", "weights_sha256"}},
        },
        # A key that a later version of adaptune adds then leaves the identity as it is.
        exclude_defaults=True,
    )
    text = f"{settings} {data} {source_classifier}"
    return hashlib.sha256(text.encode()).hexdigest()


def weights_digest(weights: StateDict) -> str:
    """Return the SHA-256 (hexadecimal) of the names, types, shapes and values of weights."""
    names = sorted(weights)
    arrays = [weights[name].cpu().numpy() for name in names]
    return content_hash(np.array(names), *arrays)
