from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptune.training import draws
from adaptune.training.draws import Draws, Purpose

CPU = torch.device("cpu")
SOURCE, TARGET = Purpose("source"), Purpose("target", settings=3)


class Trial:
    """Updates that draw numbers, and the number of copies that each of them made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draws = Draws(CPU)
        self.step = 0
        self.copied: list[object] = []
        copy = draws.to_device_at_once

        def counted(values: tuple[object, ...], device: torch.device) -> tuple[object, ...]:
            self.copied.append(values)
            return copy(values, device)

        monkeypatch.setattr(draws, "to_device_at_once", counted)

    def rng(self, purpose: Purpose) -> torch.Generator:
        return torch.Generator().manual_seed(100 * self.step + len(purpose.name))

    def update(self, *purposes: Purpose) -> dict[Purpose, list[float]]:
        """Return what an update draws, whose other value is its number."""
        self.copied.clear()
        step = torch.tensor(self.step)
        assert self.draws.prepare(self.step, self.rng, step) is step
        drawn = {}
        for purpose in purposes:
            drawn[purpose] = self.draws.get(self.step, self.rng, purpose, draw).tolist()
        self.step += 1
        return drawn


def draw(rng: torch.Generator) -> Tensor:
    return torch.rand(3, generator=rng)


def test_from_the_second_update_on_everything_is_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    trial.update(SOURCE, TARGET)
    assert len(trial.copied) == 3
    for _ in range(3):
        trial.update(SOURCE, TARGET)
        assert len(trial.copied) == 1


def test_numbers_are_the_same_whether_they_were_asked_for_before_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial, other = Trial(monkeypatch), Trial(monkeypatch)
    trial.update(SOURCE, TARGET)
    other.step = 1
    assert trial.update(SOURCE, TARGET) == other.update(SOURCE, TARGET)


def test_what_an_update_no_longer_asks_for_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    trial.update(SOURCE, TARGET)
    trial.update(SOURCE)
    trial.update(SOURCE)
    [(drawn, _)] = trial.copied
    assert len(drawn) == 1


def test_values_of_another_update_are_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch)
    trial.update(SOURCE)
    trial.update(SOURCE)
    trial.step = 7
    later = trial.draws.get(7, trial.rng, SOURCE, draw)
    assert torch.equal(later, draw(trial.rng(SOURCE)))


def test_a_recorded_update_gets_the_given_values_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = Trial(monkeypatch)
    trial.update(SOURCE)
    assert set(trial.draws.requests) == {SOURCE}
    given = torch.zeros(3)
    with trial.draws.recording(trial.step, {SOURCE: given}, lambda seed: None):
        assert trial.draws.get(trial.step, trial.rng, SOURCE, draw) is given
        with pytest.raises(RuntimeError, match="did not ask for the values of 'target'"):
            trial.draws.get(trial.step, trial.rng, TARGET, draw)
    assert trial.draws.get(trial.step, trial.rng, TARGET, draw).any()


def test_torch_is_seeded_by_the_update_or_by_what_records_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = Trial(monkeypatch).draws
    seeds: list[int] = []
    with torch.random.fork_rng(devices=[]):
        values.seed(lambda: 5)
        assert torch.initial_seed() == 5
        with values.recording(0, {}, lambda seed: seeds.append(seed())):
            values.seed(lambda: 6)
        assert torch.initial_seed() == 5
        values.seed(lambda: 7)
        assert torch.initial_seed() == 7
    assert seeds == [6]
