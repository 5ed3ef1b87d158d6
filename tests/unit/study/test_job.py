from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_search

from adaptune.results.folder import ResultsFolder
from adaptune.spec.distributions import Value
from adaptune.study.job import format_values, make_job
from adaptune.training.identity import TrialInputs, trial_identity

VALUES: dict[str, Value] = {"loss_weights.cycle": 3.0, "loss_weights.identity": 0.5}
FOLDER = ResultsFolder(Path("/results/fake"))
INPUTS = TrialInputs(data="data", source_classifier="f_S")


def test_the_job_of_a_trial_has_its_values_and_its_own_checkpoints() -> None:
    spec = make_search(search={"metric": "infomax"})
    job = make_job(spec, 4, VALUES, FOLDER, INPUTS)
    assert job.number == 4
    assert job.spec.loss_weights.cycle == 3.0
    assert job.spec.loss_weights.identity == 0.5
    assert job.metric == "infomax"
    assert job.checkpoints.path == FOLDER.checkpoints(4).path
    assert job.checkpoints.identity == trial_identity(job.spec, "data", "f_S")
    assert job.checkpoints.earlier_identities == ()


def test_a_trial_may_have_used_the_source_classifier_of_an_earlier_session() -> None:
    inputs = TrialInputs("data", "newest", ("first", "second"))
    job = make_job(make_search(), 4, VALUES, FOLDER, inputs)
    assert job.checkpoints.identity == trial_identity(job.spec, "data", "newest")
    assert job.checkpoints.earlier_identities == (
        trial_identity(job.spec, "data", "first"),
        trial_identity(job.spec, "data", "second"),
    )


def test_the_result_of_a_trial_depends_on_the_seed_and_the_number_alone() -> None:
    spec = make_search()
    seed = make_job(spec, 4, VALUES, FOLDER, INPUTS).spec.seed
    assert make_job(spec, 4, VALUES, ResultsFolder(Path("/elsewhere")), INPUTS).spec.seed == seed
    assert make_job(spec, 5, VALUES, FOLDER, INPUTS).spec.seed != seed
    reseeded = spec.model_copy(update={"seed": 1})
    assert make_job(reseeded, 4, VALUES, FOLDER, INPUTS).spec.seed != seed


def test_the_trials_of_a_group_have_the_seed_and_the_folder_of_its_first_one() -> None:
    first, member = (make_job(make_search(), n, VALUES, FOLDER, INPUTS, leader=4) for n in (4, 6))
    assert first == make_job(make_search(), 4, VALUES, FOLDER, INPUTS)
    assert (first.number, member.number) == (4, 6)
    assert member.spec.seed == first.spec.seed
    assert member.checkpoints.path == FOLDER.checkpoints(4).path
    other_values = VALUES | {"loss_weights.identity": 0.75}
    other = make_job(make_search(), 6, other_values, FOLDER, INPUTS, leader=4)
    assert other.checkpoints.identity != member.checkpoints.identity


@pytest.mark.parametrize(("health", "checked"), [("off", False), ("warn", True), ("stop", True)])
def test_health_is_checked_unless_it_is_off(health: str, checked: bool) -> None:
    job = make_job(make_search(search={"health": health}), 0, VALUES, FOLDER, INPUTS)
    assert job.check_health == checked


def test_values_are_printed_by_their_last_names_with_three_digits() -> None:
    values: dict[str, Value] = {
        "loss_weights.cycle": 1.1549,
        "loss_weights.semantic": 0.17712,
        "model.generator.blocks": 3,
        "training.gan_loss": "lsgan",
    }
    assert format_values(values) == "cycle=1.15 semantic=0.177 blocks=3 gan_loss=lsgan"
    assert format_values({}) == ""
