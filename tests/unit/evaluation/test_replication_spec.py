"""The search of one seed: its trials, groups and folder."""

from __future__ import annotations

from pathlib import Path

from support.fake_search import make_search, simulate

from adaptune.evaluation.ablation import ablations
from adaptune.evaluation.confirmation import all_values
from adaptune.evaluation.replication import Configuration, spec_of_seed


def flat(values: object, epoch: int) -> float:
    return 0.5


def test_the_search_of_a_seed_runs_each_configuration_once_in_order(tmp_path: Path) -> None:
    spec = make_search(search={"metric": "infomax", "warm_start": ["elsewhere"]})
    configurations = ablations(spec, {"loss_weights.cycle": 3.0, "loss_weights.identity": 1.0})
    seed_spec = spec_of_seed(spec, configurations, 7, tmp_path)
    assert (seed_spec.name, seed_spec.seed) == ("seed-7", 7)
    assert seed_spec.search.trials == len(configurations)
    assert seed_spec.search.warm_start == ()
    study = simulate(seed_spec, tmp_path / "journal", flat)
    trials = study.started_trials()
    for configuration, trial in zip(configurations, trials, strict=True):
        assert all_values(seed_spec, trial.values) == configuration.values
    assert all(trial.last_epoch == seed_spec.epochs for trial in trials)


def test_configurations_that_differ_in_f_t_only_share_a_gan(tmp_path: Path) -> None:
    weight = {"search": "uniform", "low": 0, "high": 9}
    space = {"loss_weights.cycle": weight, "loss_weights.feature": weight}
    spec = make_search(space=space)
    configurations = []
    for cycle, feature in ((1.0, 2.0), (3.0, 2.0), (1.0, 0.0), (3.0, 0.0), (1.0, 1.0)):
        values = {"loss_weights.cycle": cycle, "loss_weights.feature": feature}
        configurations.append(Configuration(f"{cycle} {feature}", all_values(spec, values)))
    seed_spec = spec_of_seed(spec, configurations, 7, tmp_path)
    trials = simulate(seed_spec, tmp_path / "journal", flat).started_trials()
    assert [trial.leader for trial in trials] == [0, 1, 0, 1, 0]
    for configuration, trial in zip(configurations, trials, strict=True):
        assert all_values(seed_spec, trial.values) == configuration.values


def test_a_group_of_configurations_is_no_larger_than_those_of_a_search(tmp_path: Path) -> None:
    weight = {"search": "uniform", "low": 0, "high": 9}
    spec = make_search(space={"loss_weights.cycle": weight, "loss_weights.feature": weight})
    configurations = []
    for place in range(21):
        cycle = 1.0 if place < 12 else 3.0
        values = {"loss_weights.cycle": cycle, "loss_weights.feature": 0.25 * place}
        configurations.append(Configuration(f"{place}", all_values(spec, values)))
    seed_spec = spec_of_seed(spec, configurations, 7, tmp_path)
    trials = simulate(seed_spec, tmp_path / "journal", flat).started_trials()
    assert [trial.leader for trial in trials] == [*[0] * 8, *[8] * 4, *[12] * 8, 20]
    for configuration, trial in zip(configurations, trials, strict=True):
        assert all_values(seed_spec, trial.values) == configuration.values


def test_configurations_of_other_gans_train_alone(tmp_path: Path) -> None:
    spec = make_search()
    configurations = [
        Configuration(f"cycle {cycle:g}", all_values(spec, {"loss_weights.cycle": cycle}))
        for cycle in (0.0, 1.0)
    ]
    seed_spec = spec_of_seed(spec, configurations, 7, tmp_path)
    assert seed_spec.search.classifiers_per_gan == 1


def test_a_single_configuration_leaves_nothing_to_search(tmp_path: Path) -> None:
    spec = make_search()
    configurations = ablations(spec, {"loss_weights.cycle": 3.0, "loss_weights.identity": 1.0})
    alone = spec_of_seed(spec, configurations[:1], 7, tmp_path)
    assert (alone.space, alone.search.start_points) == ({}, ())
    assert alone.trial({}).loss_weights.cycle == 3.0


def test_the_search_of_a_seed_keeps_its_results_in_the_commands_folder(tmp_path: Path) -> None:
    storage = {"remote": "s3://bucket/searches?region=x", "checkpoint_budget_gb": 3.0}
    spec = make_search(storage=storage, evaluation={"baselines": False})
    configuration = Configuration("full", all_values(spec, {}))
    seed_spec = spec_of_seed(spec, [configuration], 7, tmp_path / "confirm")
    assert seed_spec.storage.out == str(tmp_path / "confirm")
    assert seed_spec.storage.remote == "s3://bucket/searches/fake/confirm?region=x"
    assert seed_spec.storage.checkpoint_budget_gb is None
    assert seed_spec.evaluation.baselines == "auto"


def test_a_configuration_may_do_without_the_labelled_target_images(tmp_path: Path) -> None:
    domain = {"domain": "mnist5k", "size": 32, "channels": 1}
    data = {"source": domain, "target": domain | {"train_labels": 5}}
    term = {"loss_weights.task_target": {"search": "choice", "values": [0, 1]}}
    spec = make_search(data=data, space=term)
    configuration = Configuration("without", all_values(spec, {"loss_weights.task_target": 0.0}))
    seed_spec = spec_of_seed(spec, [configuration], 7, tmp_path)
    assert seed_spec.trial({}).loss_weights.task_target == 0
    assert seed_spec.data.target.train_labels == 5  # the baselines still learn from them
