"""The number of trials that share a GAN, where no user has chosen it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy

MAX_GROUP_SIZE = 8  # more would leave few settings of the GAN to compare, and take more memory
_GROUP_SIZE = "group_size"


@dataclass(frozen=True)
class GroupSize:
    """The choice of `search.classifiers_per_gan: auto`.

    Attributes:
        trials: number of trials that share a GAN.
        reason: the reason for this number, as a clause.
    """

    trials: int
    reason: str

    @property
    def description(self) -> str:
        """The number and the reason in one line."""
        if self.trials == 1:
            return f"no trials share a GAN: {self.reason}"
        return f"groups of {self.trials} trials share a GAN: {self.reason}"


def store_group_size(study: SearchStudy, size: GroupSize) -> None:
    """Store the choice in the study, for this session and all others; the first one stays."""
    if stored_group_size(study) is None:
        study.optuna_study.set_user_attr(_GROUP_SIZE, asdict(size))


def stored_group_size(study: SearchStudy) -> GroupSize | None:
    """Return the choice of a search; None if it has not chosen, or its spec has a number."""
    stored = study.optuna_study.user_attrs.get(_GROUP_SIZE)
    return None if stored is None else GroupSize(**stored)


def with_stored_group_size(spec: SearchSpec, study: SearchStudy) -> SearchSpec:
    """Return the spec of a search with the number that the search has chosen, if it has."""
    size = stored_group_size(study)
    return spec if size is None else spec.with_group_size(size.trials)
