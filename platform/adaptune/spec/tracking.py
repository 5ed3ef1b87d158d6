"""The `tracking` section: copies of the figures in other tools, and a notice at the end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from adaptune.spec.addresses import has_secret
from adaptune.spec.base import Section


class TrackingSpec(Section):
    """Copies of the figures in other tools, and a notice at the end of a search."""

    mlflow: str | None = Field(
        default=None,
        description="Address of an MLflow server or store (`https://…`, `sqlite:///…`), which gets"
        " a run per search and a nested run per trial (`pip install 'adaptune[mlflow]'`). MLflow"
        " reads passwords and tokens from the environment. `null` writes nothing.",
    )
    wandb: Literal["online", "offline"] | None = Field(
        default=None,
        description="Weights & Biases: a run per search and one per trial (`pip install"
        " 'adaptune[wandb]'`). `offline` writes them to the results folder, for `wandb sync`."
        " `null` writes nothing.",
    )
    project: Annotated[str, Field(min_length=1)] = Field(
        default="adaptune",
        description="Name of the MLflow experiment and of the W&B project.",
    )
    notify: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None,
        description="Name of the environment variable with the address of a webhook, such as that"
        " of a chat room. The search posts its outcome there when it ends or fails. The address is"
        " written nowhere. `null` posts nothing.",
    )

    @field_validator("mlflow")
    @classmethod
    def _has_no_keys(cls, mlflow: str | None) -> str | None:
        if mlflow is not None and has_secret(mlflow):
            raise ValueError(
                "mlflow must not hold a secret, because it is written to the results: set"
                " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
        return mlflow
