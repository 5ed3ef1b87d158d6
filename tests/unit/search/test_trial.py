from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_search

from adaptune.results.folder import ResultsFolder
from adaptune.search.trial import format_values, make_job
from adaptune.spec.distributions import Value

VALUES: dict[str, Value] = {"loss_weights.cycle": 3.0, "loss_weights.identity": 0.5}
FOLDER = ResultsFolder(Path("/results/fake"))


def test_the_job_of_a_trial_has_its_values_and_its_own_checkpoints() -> None:
    spec = make_search(search={"metric": "infomax"})
    job = make_job(spec, 4, VALUES, FOLDER)
    assert job.number == 4
    assert job.spec.loss_weights.cycle == 3.0
    assert job.spec.loss_weights.identity == 0.5
    assert job.metric == "infomax"
    assert job.checkpoints == FOLDER.checkpoints(4)


def test_the_result_of_a_trial_depends_on_the_seed_and_the_number_alone() -> None:
    spec = make_search()
    seed = make_job(spec, 4, VALUES, FOLDER).spec.seed
    assert make_job(spec, 4, VALUES, ResultsFolder(Path("/elsewhere"))).spec.seed == seed
    assert make_job(spec, 5, VALUES, FOLDER).spec.seed != seed
    reseeded = spec.model_copy(update={"seed": 1})
    assert make_job(reseeded, 4, VALUES, FOLDER).spec.seed != seed


@pytest.mark.parametrize(("health", "checked"), [("off", False), ("warn", True), ("stop", True)])
def test_health_is_checked_unless_it_is_off(health: str, checked: bool) -> None:
    job = make_job(make_search(search={"health": health}), 0, VALUES, FOLDER)
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
