"""The settings of the baselines without a GAN.

Each is a trial whose generators have no loss term: f_T learns from the source images themselves, or
from their Fourier translations. Everything else of the trial is as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptune.spec.distributions import Value
from adaptune.spec.loss_terms import LOSS_TERMS, terms_of
from adaptune.spec.schema import TrialSpec
from adaptune.spec.tree import put

WITHOUT_GAN = ("information_only", "no_gan", "fda")
_FOURIER_BETA = "training.fourier_beta"
_FOURIER_BETAS = (0.05, 0.1)  # the paper has 0.01, 0.05 and 0.09
_LABELLED_TERMS = ("task", "task_target")
_TEACHER_DECAY = 0.99  # of the consistency term, if the trial has no moving average
_ADAPTING = ("loss_weights.feature", "loss_weights.information")
_WEIGHTS = {"feature": 0.3}  # other terms have weight 1
# Settings of every baseline: what a GAN needs is off.
_WITHOUT_GAN: Mapping[str, Value | None] = {
    "method": "cycada",  # whose step has all terms of f_T
    "training.task_images": "translated",  # the source images stand for their translations
    _FOURIER_BETA: 0.0,
    "training.semantic_gate": None,
    "training.classifier_from": 0.0,
    "training.compile": False,  # it takes a minute per setting
}
_INFORMATION_ONLY: Mapping[str, Value] = {
    "loss_weights.information": 1.0,
    "training.freeze_head": True,  # as in SHOT: otherwise nothing holds f_T to the source's classes
}


@dataclass(frozen=True)
class BaselineSetting:
    """One setting of a baseline.

    Attributes:
        baseline: the baseline: an item of `WITHOUT_GAN`.
        values: values by dotted path; loss weights that are left out are 0.
    """

    baseline: str
    values: Mapping[str, Value]

    def trial(self, spec: TrialSpec) -> TrialSpec:
        """Return the trial with this setting in place of its loss weights.

        Args:
            spec: the trial whose other settings are used.
        """
        tree = spec.model_dump()
        tree["loss_weights"] = dict.fromkeys(LOSS_TERMS, 0.0)
        for path, value in {**_WITHOUT_GAN, **self.values}.items():
            put(tree, path, value)
        if "loss_weights.consistency" in self.values and not spec.training.classifier_ema_decay:
            put(tree, "training.classifier_ema_decay", _TEACHER_DECAY)
        return TrialSpec.model_validate(tree)

    def __str__(self) -> str:
        parts = []
        for path, value in self.values.items():
            name = path.rpartition(".")[2].replace("_", " ")
            parts.append(name if value is True else f"{name} {value:.3g}")
        return ", ".join(parts)


def baseline_settings(spec: TrialSpec) -> list[BaselineSetting]:
    """Return the settings of all baselines without a GAN.

    *No GAN* has each term that trains f_T on unlabelled images next to the task term, and all of
    them together. *FDA* has the task term alone, the terms of CyCADA's f_T with the information
    term, and all terms. The last setting is the trial itself without its GAN. With labelled target
    images, every setting learns from them as well.

    Args:
        spec: a trial of the search.
    """
    labelled: dict[str, Value] = {}
    if spec.data.target.train_labels:
        labelled["loss_weights.task_target"] = 1.0
    task: dict[str, Value] = {"loss_weights.task": 1.0, **labelled}
    terms: dict[str, Value] = {}
    for name in terms_of("classifier"):
        if name not in _LABELLED_TERMS:
            terms[f"loss_weights.{name}"] = _WEIGHTS.get(name, 1.0)

    settings = [BaselineSetting("information_only", {**_INFORMATION_ONLY, **labelled})]
    for path, weight in terms.items():
        settings.append(BaselineSetting("no_gan", {**task, path: weight}))
    settings.append(BaselineSetting("no_gan", {**task, **terms}))
    for beta in _FOURIER_BETAS:
        settings.append(BaselineSetting("fda", {**task, _FOURIER_BETA: beta}))
    adapting = {path: terms[path] for path in _ADAPTING}
    for others in (adapting, terms):
        values = {**task, **others, _FOURIER_BETA: max(_FOURIER_BETAS)}
        settings.append(BaselineSetting("fda", values))
    own = _own_settings(spec, labelled, terms)
    return [*settings, *(setting for setting in own if setting not in settings)]


def _own_settings(
    spec: TrialSpec, labelled: Mapping[str, Value], terms: Mapping[str, Value]
) -> list[BaselineSetting]:
    """Return the trial without its GAN, unless nothing would adapt f_T.

    Args:
        labelled: weights of the term on labelled target images.
        terms: weights of the other terms of f_T, except for the task term.
    """
    own: dict[str, Value] = {}
    for path in ("loss_weights.task", *terms):
        weight = getattr(spec.loss_weights, path.rpartition(".")[2])
        if weight:
            own[path] = weight
    own |= labelled
    if spec.training.fourier_beta:
        return [BaselineSetting("fda", {**own, _FOURIER_BETA: spec.training.fourier_beta})]
    if own.keys() & terms.keys():
        return [BaselineSetting("no_gan", own)]
    return []
