"""The one table of loss terms: the fields of `LossWeights`.

A new term is one field here. Its key in the search space file, its reference, the methods that
have it and its rows in an ablation follow from that field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

from adaptune.spec.base import Method, OnlyIn, Section

Trained = Literal["generators", "classifier"]
PartialConfiguration = Literal["pixel only", "feature only"]

METHODS: tuple[Method, ...] = ("cycada", "cyclegan")
PARTIAL_CONFIGURATIONS: tuple[PartialConfiguration, ...] = ("pixel only", "feature only")

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Term:
    """Metadata of a loss weight.

    Attributes:
        trains: the networks that minimise the term; "classifier" is f_T. Trials that differ in the
            weights of f_T's terms only can share a GAN.
        kept_in: the rows of CyCADA's ablation table (Hoffman et al. 2018) that keep the term.
        ablated: whether an ablation has a row "no <term>".
    """

    trains: Trained
    kept_in: tuple[PartialConfiguration, ...] = ()
    ablated: bool = True


class LossWeights(Section):
    """The loss weights λ. They are absolute, and 0 leaves a term out with its forward passes."""

    task: Annotated[
        Weight, Term(trains="classifier", kept_in=PARTIAL_CONFIGURATIONS, ablated=False)
    ] = Field(
        default=1.0,
        description="Cross-entropy of f_T on translated source images with the source's labels"
        " (CyCADA, eq. 1).",
    )
    task_target: Annotated[
        Weight, Term(trains="classifier", kept_in=PARTIAL_CONFIGURATIONS, ablated=False)
    ] = Field(
        default=0.0,
        description="Cross-entropy of f_T on the labelled target images of"
        " `data.target.train_labels`; an addition to CyCADA.",
    )
    adversarial: Annotated[
        Weight, Term(trains="generators", kept_in=("pixel only",), ablated=False)
    ] = Field(
        default=1.0,
        description="GAN loss of G_st against D_t and of G_ts against D_s: translations should"
        " look like the other domain (CycleGAN, eq. 1).",
    )
    cycle: Annotated[Weight, Term(trains="generators", kept_in=("pixel only",))] = Field(
        default=10.0,
        description="L1 distance between an image and its translation to the other domain and"
        " back (CycleGAN, eq. 2).",
    )
    identity: Annotated[Weight, Term(trains="generators", kept_in=("pixel only",))] = Field(
        default=0.0,
        description="L1 distance between an image and its translation to the domain that it is"
        " from, which keeps colours (CycleGAN, section 5.2). Not multiplied by `cycle`.",
    )
    semantic: Annotated[Weight, Term(trains="generators"), OnlyIn("cycada")] = Field(
        default=1.0,
        description="Cross-entropy of f_S on a translation with the class that f_S predicted"
        " before translation (CyCADA, eq. 4). CyCADA only.",
    )
    feature: Annotated[
        Weight, Term(trains="classifier", kept_in=("feature only",)), OnlyIn("cycada")
    ] = Field(
        default=0.1,
        description="Cross-entropy that makes D_feat take f_T's logits of target images for those"
        " of translated source images (CyCADA, eq. 5). CyCADA only.",
    )
    information: Annotated[Weight, Term(trains="classifier"), OnlyIn("cycada")] = Field(
        default=0.0,
        description="Negative mutual information of target images and f_T's predictions, which"
        " assumes roughly balanced target classes (Krause et al. 2010); an addition to CyCADA."
        " CyCADA only.",
    )
    confusion: Annotated[Weight, Term(trains="classifier"), OnlyIn("cycada")] = Field(
        default=0.0,
        description="Confusion of classes in f_T's predictions on target images (MCC, Jin et al."
        " 2020), which needs no balanced classes; an addition to CyCADA. CyCADA only.",
    )
    consistency: Annotated[Weight, Term(trains="classifier"), OnlyIn("cycada")] = Field(
        default=0.0,
        description="Cross-entropy of f_T on strongly changed target images with the classes that"
        " its moving average is sure of (FixMatch, Sohn et al. 2020); see `training.consistency`."
        " It needs `training.classifier_ema_decay`. An addition to CyCADA. CyCADA only.",
    )


@dataclass(frozen=True)
class LossTerm:
    """One row of the table of loss terms; see `Term` for what the columns mean."""

    name: str
    default_weight: float
    description: str
    methods: tuple[Method, ...]
    trains: Trained
    kept_in: tuple[PartialConfiguration, ...]
    ablated: bool


def terms_of(trained: Trained) -> tuple[str, ...]:
    """Return the names of the terms that train the generators, or the classifier f_T."""
    return tuple(name for name, term in LOSS_TERMS.items() if term.trains == trained)


def _read_term(name: str, field: FieldInfo) -> LossTerm:
    """Return the table row that the field of a loss weight describes."""
    (term,) = (item for item in field.metadata if isinstance(item, Term))
    restrictions = [item.method for item in field.metadata if isinstance(item, OnlyIn)]
    return LossTerm(
        name=name,
        default_weight=field.default,
        description=field.description or "",
        methods=tuple(restrictions) or METHODS,
        trains=term.trains,
        kept_in=term.kept_in,
        ablated=term.ablated,
    )


def _ablations() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each row of the ablation table with the terms that it switches off."""
    for row in PARTIAL_CONFIGURATIONS:
        yield row, tuple(name for name, term in LOSS_TERMS.items() if row not in term.kept_in)
    for name, term in LOSS_TERMS.items():
        if term.ablated:
            yield f"no {name}", (name,)


LOSS_TERMS = {name: _read_term(name, field) for name, field in LossWeights.model_fields.items()}
ABLATIONS = dict(_ablations())
