"""The inputs of a search besides its spec: data, f_S, versions and devices."""

from __future__ import annotations

from importlib import metadata

from pydantic import Field

from adaptune.errors import ResultsError
from adaptune.spec.base import Section
from adaptune.study.study import SearchStudy
from adaptune.training.identity import TrialInputs
from adaptune.version import __version__

_INPUTS = "inputs"
_PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "pillow")


class StudyInputs(Section):
    """The user attribute `inputs` of a study."""

    data: str = Field(description="digest of the data")
    source_classifiers: tuple[str, ...] = Field(
        description="digests of f_S in the sessions of the search; the last one is in use"
    )
    environment: dict[str, str] = Field(
        description="versions of packages, and the device, at the first start"
    )

    @property
    def of_trials(self) -> TrialInputs:
        """The digests that the identity of a trial is made of."""
        *earlier, current = self.source_classifiers
        return TrialInputs(self.data, current, tuple(earlier))


def record_inputs(
    study: SearchStudy, *, data: str, source_classifier: str, device: str, images: int
) -> tuple[TrialInputs, list[str]]:
    """Store the inputs of a search in its study, or compare them in a resumed search.

    Args:
        data: digest of the data.
        source_classifier: digest of the weights of f_S.
        device: kind of device that trials use.
        images: number of labelled target_val images.

    Returns:
        The inputs of the trials, and one line per change since the first start.

    Raises:
        ResultsError: the search began with other data.
    """
    environment = _environment(device)
    study.curves.note_images(images)
    stored = _stored(study)
    if stored is None:
        stored = StudyInputs(
            data=data, source_classifiers=(source_classifier,), environment=environment
        )
        _store(study, stored)
        return stored.of_trials, []
    if stored.data != data:
        raise ResultsError(
            f"the study {study.optuna_study.study_name} belongs to a search of other images or"
            " labels: restore the data, or give this search another --name"
        )
    changes = _changes(stored.environment, environment)
    if stored.source_classifiers[-1] != source_classifier:
        earlier = [digest for digest in stored.source_classifiers if digest != source_classifier]
        stored = stored.model_copy(update={"source_classifiers": (*earlier, source_classifier)})
        _store(study, stored)
        changes.append(
            "since this search began, the weights of f_S changed: source_classifier.safetensors was"
            " missing or damaged, and training f_S again gave other weights; interrupted trials"
            " start again"
        )
    return stored.of_trials, changes


def read_inputs(study: SearchStudy) -> TrialInputs:
    """Return the inputs of a search's trials.

    Raises:
        ResultsError: the study does not hold them.
    """
    stored = _stored(study)
    if stored is None:
        raise ResultsError(
            f"the study {study.optuna_study.study_name} does not name the inputs of its trials: the"
            " search has not begun them, or an older version of adaptune wrote it"
        )
    return stored.of_trials


def _environment(device: str) -> dict[str, str]:
    versions = {"adaptune": __version__}
    for package in _PACKAGES:
        versions[package] = metadata.version(package)
    return versions | {"the device": device}


def _changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    changes = []
    for name, value in now.items():
        first = before.get(name, value)
        if first != value:
            changes.append(
                f"since this search began, {name} changed from {first} to {value}: trials before"
                " and after the change may differ for this reason alone"
            )
    return changes


def _stored(study: SearchStudy) -> StudyInputs | None:
    values = study.optuna_study.user_attrs.get(_INPUTS)
    return None if values is None else StudyInputs.model_validate(values)


def _store(study: SearchStudy, inputs: StudyInputs) -> None:
    study.optuna_study.set_user_attr(_INPUTS, inputs.model_dump(mode="json"))
