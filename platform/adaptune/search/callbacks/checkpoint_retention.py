"""Deletion of checkpoints during a search."""

from __future__ import annotations

from collections.abc import Sequence

from ray.tune.experiment import Trial

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.checkpoint_deletion import CheckpointDeletion
from adaptune.training.record import EpochRecord

STEP_TIMEOUT_S = 1.0  # Tune's loop waits meanwhile


class CheckpointRetentionCallback(SearchCallback):
    """Lets the search keep only the checkpoints that it needs, and has room for."""

    def __init__(self, deletion: CheckpointDeletion) -> None:
        self._deletion = deletion

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Note that a trial has written a checkpoint and a sample grid."""
        self._deletion.note_change(config.number)

    def on_trial_end(self, config: TrialConfig) -> None:
        """Note that a trial may have ended."""
        self._deletion.note_change(config.number)

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Delete files for about a second; the rest is deleted after the next steps."""
        self._deletion.delete_files(STEP_TIMEOUT_S)
