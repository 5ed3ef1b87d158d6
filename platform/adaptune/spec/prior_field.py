"""The key `prior` of a range."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Prior(BaseModel):
    """The values around which the sampler proposes first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    center: float | Literal["published"]
    spread: Annotated[float, Field(gt=0)] | None = None


def _as_prior(value: object) -> object:
    """Return the prior that a number or a word stands for."""
    return value if isinstance(value, dict | Prior | None) else {"center": value}


_CENTER = {"anyOf": [{"type": "number"}, {"const": "published"}]}
OptionalPrior = Annotated[
    Prior | None,
    BeforeValidator(_as_prior),
    WithJsonSchema(
        {
            "anyOf": [
                *_CENTER["anyOf"],
                {
                    "type": "object",
                    "properties": {
                        "center": _CENTER,
                        "spread": {"type": "number", "exclusiveMinimum": 0},
                    },
                    "required": ["center"],
                    "additionalProperties": False,
                },
                {"type": "null"},
            ]
        }
    ),
]
PRIOR = (
    "Value around which samplers tpe and curves propose first, and less and less as trials end;"
    " `published`: the weight of the method's authors. With `{center: 10, spread: 0.7}`, also the"
    " standard deviation, of a logarithmic range that of the natural logarithm; the default is a"
    " fifth of the range."
)
