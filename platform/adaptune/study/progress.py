"""Progress of a search beyond its trials, which its driver stores for those who watch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from adaptune.study.study import SearchStudy

_PROGRESS = "progress"


@dataclass(frozen=True)
class SearchProgress:
    """Progress of the current session of a search.

    Times are those of `time.time()` on the driver's machine.

    Attributes:
        plan: placement of the trials in one line.
        nodes: number of nodes that trials may run on, at the start.
        workers: number of workers of a trial.
        target_val: number of images in target_val.
        start: start of the session.
        end: expected end of the search; None if it is not known.
    """

    plan: str
    nodes: int
    workers: int
    target_val: int
    start: float
    end: float | None = None

    def with_end(self, end: float | None) -> SearchProgress:
        """Return the progress with another expected end."""
        return replace(self, end=end)


def store_progress(study: SearchStudy, progress: SearchProgress) -> None:
    """Store the progress in the study."""
    study.optuna_study.set_user_attr(_PROGRESS, asdict(progress))


def stored_progress(study: SearchStudy) -> SearchProgress | None:
    """Return the progress that the driver stored last; None before the first trial."""
    stored = study.optuna_study.user_attrs.get(_PROGRESS)
    return None if stored is None else SearchProgress(**stored)
