"""The `search` section: the objective, the budget, the sampler and the scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, model_validator

from adaptune.spec.algorithms import Asha, Curves, CurveStopping, Gp, Nsga2, Sampler, Scheduler, Tpe
from adaptune.spec.base import Count, Section
from adaptune.spec.distributions import Value
from adaptune.spec.sharing import sampler_obstacle
from adaptune.spec.stop_when import StopWhen

# The loader accepts nested sections and flattens them to dotted keys.
_START_POINTS = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "type": "object",
            "patternProperties": {
                r"^(loss_weights|training|model)$": {"type": "object"},
                r"^(loss_weights|training|model)\.": {
                    "type": ["number", "string", "boolean", "null"]
                },
            },
            "additionalProperties": False,
        },
    }
)


class SearchOptions(Section):
    """The objective, the budget, and the algorithms of the search."""

    metric: Literal[
        "target_val_accuracy",
        "target_val_mean_recall",
        "target_val_macro_f1",
        "target_val_auroc",
        "source_val",
        "entropy",
        "infomax",
        "v_measure",
        "ami",
        "bnm",
        "importance_weighted",
        "dev",
        "snd",
        "ensemble",
    ] = Field(
        default="target_val_accuracy",
        description="The objective, which is maximised. Those that begin with `target_val_` need"
        " target labels: accuracy, mean recall or mean F1 score of the classes, or area under the"
        " ROC curve, which needs two classes. The others are validators, which need none.",
    )
    trials: Count = Field(default=20, description="Trials in all, start points included.")
    sampler: Sampler = Field(
        default=Tpe(), description="The algorithm that proposes values: a name, or its options."
    )
    startup_trials: Count = Field(
        default=6,
        description="Trials before tpe, curves, gp and cmaes model the results; until then"
        " they sample at random.",
    )
    scheduler: Scheduler = Field(
        default=Asha(), description="The rule for stopping trials early: a name, or its options."
    )
    stop_when: StopWhen | None = Field(
        default=None,
        description="When to end the search early, such as `{gain_below: 0.3}`; `null`: never.",
    )
    start_points: Annotated[tuple[dict[str, Value], ...], _START_POINTS] = Field(
        default=(),
        description="Settings to try first. What a setting leaves out is sampled.",
    )
    health: Literal["off", "warn", "stop"] = Field(
        default="warn",
        description="What to do if the GAN of a trial becomes unhealthy (collapse, label flip, …):"
        " do not monitor, warn, or stop the trial.",
    )
    classifiers_per_gan: Literal["auto"] | Count = Field(
        default=1,
        description="Trials that share a GAN: equal in everything that affects the GAN, each with"
        " settings of its own for f_T and D_feat. Samplers `tpe`, `curves`, `gp` and"
        " `random` only, and not with `training.semantic_gate` or"
        " `training.semantic_target_labels: adapted`. `auto`:"
        " measured before the first trial, up to 8, so that together they cost at most about twice"
        " as much as one of them alone.",
    )
    warm_start: tuple[str, ...] = Field(
        default=(),
        description="Results folders of earlier searches. The sampler (tpe or gp) also learns"
        " from their trials, by their ranks within each search; they count less and less.",
    )

    @model_validator(mode="after")
    def _sampler_learns_from_other_studies(self) -> SearchOptions:
        if self.warm_start and not isinstance(self.sampler, Tpe | Gp):
            raise ValueError(
                f"warm_start: {self.sampler.name} cannot learn from other studies; tpe and gp can"
            )
        return self

    @model_validator(mode="after")
    def _curves_can_be_modelled(self) -> SearchOptions:
        if isinstance(self.scheduler, CurveStopping) and self.objectives > 1:
            raise ValueError("scheduler: curves have one objective, and sampler nsga2 has two")
        models_curves = isinstance(self.sampler, Curves)
        models_curves = models_curves or isinstance(self.scheduler, CurveStopping)
        if models_curves and self.metric == "ensemble":
            raise ValueError(
                "metric: ensemble ranks epochs, so that curves change; sampler and scheduler"
                " curves need another metric"
            )
        return self

    @model_validator(mode="after")
    def _early_end_counts_points_of_a_metric(self) -> SearchOptions:
        if self.stop_when is None:
            return self
        if not self.metric.startswith("target_val_"):
            raise ValueError(
                f"stop_when: gain_below counts points of a metric on target labels, and"
                f" {self.metric} is none"
            )
        if self.objectives > 1:
            raise ValueError("stop_when: there is one objective, and sampler nsga2 has two")
        return self

    @model_validator(mode="after")
    def _sampler_completes_shared_values(self) -> SearchOptions:
        obstacle = sampler_obstacle(self.sampler)
        if self.group_size > 1 and obstacle is not None:
            raise ValueError(f"classifiers_per_gan: {obstacle}")
        return self

    @property
    def group_size(self) -> int:
        """Number of trials that share a GAN; 1 as long as `auto` has not been replaced."""
        return 1 if self.classifiers_per_gan == "auto" else self.classifiers_per_gan

    @property
    def objectives(self) -> int:
        """Number of objectives: 2 if the device seconds of a trial count as well."""
        return 2 if isinstance(self.sampler, Nsga2) else 1
