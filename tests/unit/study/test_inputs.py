from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_search import make_search

from adaptune.errors import ResultsError
from adaptune.study import inputs
from adaptune.study.inputs import read_inputs, record_inputs
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.identity import TrialInputs


@pytest.fixture
def study() -> SearchStudy:
    return create_study(make_search())


def record(study: SearchStudy, **changed: Any) -> tuple[TrialInputs, list[str]]:
    values = {"data": "data", "source_classifier": "f_S", "device": "CPU", "images": 500}
    return record_inputs(study, **values | changed)


def test_the_first_start_stores_them_and_a_resume_finds_them(tmp_path: Path) -> None:
    spec = make_search()
    journal = tmp_path / "study.journal"
    expected = TrialInputs("data", "f_S")
    assert record(open_study(spec, journal)) == (expected, [])
    resumed = open_study(spec, journal)
    assert read_inputs(resumed) == expected
    assert record(resumed) == (expected, [])
    stored = resumed.optuna_study.user_attrs["inputs"]["environment"]
    assert {"adaptune", "torch", "torchvision", "ray", "optuna", "numpy", "pillow"} < stored.keys()


def test_each_change_of_a_version_or_device_is_one_line_at_every_resume(
    study: SearchStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs.metadata, "version", lambda package: "1.0")
    record(study)
    monkeypatch.setattr(
        inputs.metadata, "version", lambda package: "2.0" if package == "torch" else "1.0"
    )
    for _ in range(2):
        trial_inputs, changes = record(study, device="GPU")
        assert trial_inputs == TrialInputs("data", "f_S")
        assert [line.partition(":")[0] for line in changes] == [
            "since this search began, torch changed from 1.0 to 2.0",
            "since this search began, the device changed from CPU to GPU",
        ]


def test_other_data_is_refused(study: SearchStudy) -> None:
    record(study)
    with pytest.raises(ResultsError, match="the study fake belongs to a search of other images"):
        record(study, data="other")


def test_finished_trials_keep_the_source_classifier_of_their_session(study: SearchStudy) -> None:
    record(study)
    trial_inputs, changes = record(study, source_classifier="second")
    assert trial_inputs == TrialInputs("data", "second", ("f_S",))
    [line] = changes
    assert line.startswith("since this search began, the weights of f_S changed")
    assert record(study, source_classifier="second") == (trial_inputs, [])
    trial_inputs, _ = record(study)  # the first file was found again
    assert trial_inputs == TrialInputs("data", "f_S", ("second",))
    assert read_inputs(study) == trial_inputs


def test_a_study_without_them_has_no_trials_to_export(study: SearchStudy) -> None:
    with pytest.raises(ResultsError, match="does not name the inputs of its trials"):
        read_inputs(study)
