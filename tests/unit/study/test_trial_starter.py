from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, Trial, TrialState
from support.fake_search import make_record, make_search, smooth

from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.trial import place_in_group

CYCLE = "loss_weights.cycle"
FEATURE = "loss_weights.feature"
SPACE = {
    CYCLE: {"search": "loguniform", "low": 0.1, "high": 30},
    FEATURE: {"search": "uniform", "low": 0, "high": 5},
}
POINTS = [{CYCLE: 1.0}, {CYCLE: 2.0, FEATURE: 3.0}]
SHARING_POINTS = [{CYCLE: 1.0, FEATURE: 3.0}, {CYCLE: 2.0}, {CYCLE: 1.0, FEATURE: 4.0}]
GAN_LOSS = "training.gan_loss"
CONDITIONAL = {
    GAN_LOSS: {"search": "choice", "values": ["lsgan", "log"]},
    CYCLE: {
        "search": "uniform",
        "low": 0,
        "high": 9,
        "when": {GAN_LOSS: "log"},
        "otherwise": 1,
    },
    "training.classifier_lr": {"search": "loguniform", "low": 1e-4, "high": 1e-2},
}


@dataclass
class GroupSearch:
    """A search of nine trials in groups of three.

    Attributes:
        spec: its spec.
        journal: its study.
        concurrency: number of groups that run at a time.
        prior_trials: trials of earlier searches.
    """

    spec: SearchSpec
    journal: Path
    concurrency: int = 1
    prior_trials: Sequence[FrozenTrial] = field(default=())

    def run(self) -> None:
        """Run the search, or continue it: the oldest group ends first."""
        study = open_study(self.spec, self.journal)
        live = study.interrupted_groups(self.prior_trials)
        while live or study.started < self.spec.planned_trials:
            missing = self.spec.planned_trials - study.started
            if missing and len(live) < self.concurrency:
                size = min(3, missing)
                live.append(study.ask_group(size, self.prior_trials, limit=missing))
            else:
                end_group(study, live.pop(0))

    def outcome(self) -> list[object]:
        """Return number, group, state, values and curve of each trial."""
        trials = read_study(self.spec, self.journal).started_trials()
        return [
            (trial.number, trial.leader, trial.group_size, trial.state, trial.values, trial.curve)
            for trial in trials
        ]


def end_group(study: SearchStudy, trials: Sequence[Trial]) -> None:
    for trial in trials:
        values = {**trial.params, "loss_weights.identity": trial.params[FEATURE]}
        accuracy = smooth(values, 1)
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=1, error=None, wall_s=1.0)


def make_group_search(sampler: str, **search: object) -> SearchSpec:
    return make_search(
        SPACE,
        search={"trials": 8, "sampler": sampler, "startup_trials": 3} | search,
        training={"epochs": 1},
    )


def prior_trials(*accuracies: float) -> list[FrozenTrial]:
    study = create_study(make_search(SPACE, training={"epochs": 1}))
    for _ in accuracies:
        end_group(study, [study.ask()])
    return [trial.optuna_trial for trial in study.started_trials()]


@pytest.mark.parametrize("sampler", ["tpe", "curves", "random", "gp"])
def test_the_trials_of_a_group_share_the_values_of_the_generator_side_only(sampler: str) -> None:
    study = create_study(make_group_search(sampler))
    groups = []
    for _ in range(2):
        groups.append(study.ask_group(3))
        end_group(study, groups[-1])
    for group in groups:
        assert len({trial.params[CYCLE] for trial in group}) == 1
        assert len({trial.params[FEATURE] for trial in group}) == 3
    assert groups[0][0].params[CYCLE] != groups[1][0].params[CYCLE]
    assert study.started == 6
    places = [(trial.number, trial.leader, trial.group_size) for trial in study.started_trials()]
    assert places == [(0, 0, 3), (1, 0, 3), (2, 0, 3), (3, 3, 3), (4, 3, 3), (5, 3, 3)]


def test_the_sampler_proposes_only_the_values_that_a_trial_does_not_share() -> None:
    study = create_study(make_group_search("tpe"))
    end_group(study, study.ask_group(3))
    first, *others = study.ask_group(3)
    assert set(first.relative_params) == {CYCLE, FEATURE}
    assert [set(trial.relative_params) for trial in others] == [{FEATURE}, {FEATURE}]


def test_a_shared_value_is_drawn_by_all_trials_of_a_group_or_by_none() -> None:
    shared = (CYCLE, GAN_LOSS)
    spec = make_search(CONDITIONAL, search={"sampler": "random"})
    study = create_study(spec)
    drawn = set()
    for _ in range(12):
        group = study.ask_group(3)
        values = {tuple(trial.params.get(path) for path in shared) for trial in group}
        assert len(values) == 1
        assert len({trial.params["training.classifier_lr"] for trial in group}) == 3
        drawn |= {cycle is not None for cycle, _ in values}
    assert drawn == {True, False}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("points", [[], POINTS])
def test_a_group_of_one_has_the_values_of_a_trial_alone_and_no_attribute(
    sampler: str, points: list[dict[str, Value]]
) -> None:
    spec = make_group_search(sampler, start_points=points)
    alone = create_study(spec)
    grouped = create_study(spec)
    for _ in range(6):
        trial = alone.ask()
        [only] = grouped.ask_group(1)
        assert (only.number, only.params) == (trial.number, trial.params)
        end_group(alone, [trial])
        end_group(grouped, [only])
    for stored in grouped.started_trials():
        assert "group" not in stored.optuna_trial.user_attrs
        assert (stored.leader, stored.group_size) == (stored.number, 1)


def test_the_first_trial_of_a_group_has_the_values_of_a_trial_alone() -> None:
    spec = make_group_search("tpe")
    first, *_ = create_study(spec).ask_group(3)
    assert first.params == create_study(spec).ask().params


def test_start_points_begin_groups_and_wait_while_others_join() -> None:
    study = create_study(make_group_search("random", start_points=POINTS))
    first = study.ask_group(2)
    second = study.ask_group(2)
    assert [trial.number for trial in first] == [0, 2]
    assert [trial.number for trial in second] == [1, 3]
    assert [trial.params[CYCLE] for trial in (*first, *second)] == [1.0, 1.0, 2.0, 2.0]
    assert second[0].params[FEATURE] == 3.0
    assert second[1].params[FEATURE] != 3.0
    assert (study.leader(3), study.leader(2)) == (1, 0)
    assert [trial.number for trial in study.group(3)] == [1, 3]


def test_start_points_with_the_same_shared_values_are_in_one_group() -> None:
    points = [
        {CYCLE: 1.0, FEATURE: 0.5},
        {CYCLE: 2.0, FEATURE: 0.5},
        {CYCLE: 1.0, FEATURE: 3.0},
        {FEATURE: 4.0},
    ]
    study = create_study(make_group_search("random", start_points=points))
    groups = [study.ask_group(3, limit=limit) for limit in (8, 5)]
    numbers = [[trial.number for trial in group] for group in groups]
    assert numbers == [[0, 2, 4], [1, 5, 6]]
    assert [trial.params[FEATURE] for trial in groups[0][:2]] == [0.5, 3.0]
    assert groups[0][2].params[CYCLE] == 1.0


def test_a_group_leaves_room_for_all_start_points() -> None:
    points = [{CYCLE: 1.0, FEATURE: 0.5}, {CYCLE: 2.0}, {CYCLE: 1.0, FEATURE: 3.0}, {CYCLE: 4.0}]
    study = create_study(make_group_search("random", trials=5, start_points=points))
    groups = []
    while study.started < 5:
        groups.append(study.ask_group(4, limit=5 - study.started))
    numbers = [[trial.number for trial in group] for group in groups]
    assert numbers == [[0, 2, 4], [1], [3]]


def test_the_sampler_learns_from_earlier_searches_for_all_trials_of_a_group() -> None:
    spec = make_group_search("tpe")
    with_priors = create_study(spec).ask_group(3, prior_trials(*range(6)))
    without = create_study(spec).ask_group(3)
    assert len({trial.params[CYCLE] for trial in with_priors}) == 1
    assert len({trial.params[FEATURE] for trial in with_priors}) == 3
    for trial, other in zip(with_priors, without, strict=True):
        assert trial.params[FEATURE] != other.params[FEATURE]


def test_a_group_that_has_partly_ended_is_not_filled_up(journal: Path) -> None:
    spec = make_group_search("random")
    study = open_study(spec, journal)
    leader, member, last = study.ask_group(3)
    study.tell_result(leader, epochs=9, error="step 3: nan", wall_s=1.0)
    reopened = open_study(spec, journal)
    [group] = reopened.interrupted_groups()
    assert [trial.number for trial in group] == [member.number, last.number]
    assert {place_in_group(trial).leader for trial in group} == {leader.number}
    assert reopened.started == 3


def test_a_start_that_another_session_planned_for_a_group_becomes_a_trial_alone(
    journal: Path,
) -> None:
    spec = make_group_search("random")
    open_study(spec, journal).ask_group(3)
    lines = journal.read_text().splitlines(keepends=True)
    [start] = [number for number, line in enumerate(lines) if '"op_code":6' in line]
    journal.write_text("".join(lines[:start]))  # before the trial runs
    study = open_study(spec, journal)
    assert study.interrupted_groups() == []
    study.ask()
    assert (study.trial(0).group_size, study.started) == (1, 1)


def test_a_study_with_groups_is_an_ordinary_one_for_optuna(journal: Path) -> None:
    search = GroupSearch(make_group_search("random"), journal)
    search.run()
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(journal))
    )
    study = optuna.load_study(study_name="fake", storage=storage)
    assert [trial.number for trial in study.trials] == list(range(8))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert [trial.user_attrs["group"]["leader"] for trial in study.trials] == [
        *(0, 0, 0),
        *(3, 3, 3),
        *(6, 6),
    ]
    assert all(list(trial.intermediate_values) == [1] for trial in study.trials)


@pytest.mark.parametrize(
    ("sampler", "concurrency", "points", "priors"),
    [
        ("tpe", 1, [], 0),
        ("random", 2, POINTS, 0),
        ("random", 1, SHARING_POINTS, 0),
        pytest.param("tpe", 2, POINTS, 0, marks=pytest.mark.slow),
        pytest.param("tpe", 1, [], 6, marks=pytest.mark.slow),
        pytest.param("random", 1, [], 6, marks=pytest.mark.slow),
        pytest.param("random", 1, [], 0, marks=pytest.mark.slow),
    ],
)
def test_a_kill_after_any_write_changes_neither_values_nor_numbers_nor_groups(
    tmp_path: Path, sampler: str, concurrency: int, points: list[dict[str, Value]], priors: int
) -> None:
    spec = make_group_search(sampler, start_points=points)
    learned_from = prior_trials(*range(priors))
    undisturbed = GroupSearch(spec, tmp_path / "undisturbed.journal", concurrency, learned_from)
    undisturbed.run()
    expected = undisturbed.outcome()
    writes = undisturbed.journal.read_text().splitlines(keepends=True)
    resumed = GroupSearch(spec, tmp_path / "resumed.journal", concurrency, learned_from)
    differing = []
    for count in range(len(writes)):
        resumed.journal.write_text("".join(writes[:count]))
        resumed.run()
        if resumed.outcome() != expected:
            differing.append((count, writes[count]))
    assert differing == []
    assert len(writes) > 60


def test_a_database_gets_the_same_groups_as_a_journal(tmp_path: Path) -> None:
    kept_in_journal = GroupSearch(make_group_search("tpe"), tmp_path / "study.journal")
    kept_in_journal.run()
    url = f"sqlite:///{tmp_path}/studies.db"
    spec = make_search(
        SPACE,
        search={"trials": 8, "sampler": "tpe", "startup_trials": 3},
        training={"epochs": 1},
        storage={"study": url},
    )
    kept_in_database = GroupSearch(spec, tmp_path / "unused")
    open_study(spec, kept_in_database.journal).ask_group(3)
    kept_in_database.run()
    assert kept_in_database.outcome() == kept_in_journal.outcome()
