"""The `evaluation` section: the baselines that the best trial is compared with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from adaptune.spec.base import Section


class EvaluationSpec(Section):
    """The evaluation of the best trial."""

    baselines: Literal["auto"] | bool = Field(
        default="auto",
        description="Train the baselines information only, no GAN, FDA and target supervised."
        " `auto`: target supervised for built-in data only; `false`: none of them.",
    )
