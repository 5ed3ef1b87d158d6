from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptune.workflows import replicate as workflow
from adaptune.workflows.replicate import Replication

Run = Callable[..., Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path, dict[str, Any]]]:
    """Calls of the workflows: their name, folder and options."""
    recorded = []

    def record(name: str) -> Callable[..., Replication]:
        def command(path: Path, **options: Any) -> Replication:
            recorded.append((name, path, options))
            return Replication(path / name, [], "", copied=path.name != "full-store")

        return command

    monkeypatch.setattr(workflow, "confirm", record("confirm"))
    monkeypatch.setattr(workflow, "ablate", record("ablate"))
    return recorded


def test_the_defaults_are_three_configurations_and_five_or_three_seeds(
    run: Run, calls: list[Any]
) -> None:
    assert run("confirm", "results/small").status == 0
    assert run("ablate", "results/small").status == 0
    folder = Path("results/small")
    assert calls == [
        ("confirm", folder, {"top": 3, "trials": (), "seeds": 5, "address": None}),
        ("ablate", folder, {"seeds": 3, "address": None}),
    ]


def test_the_options_reach_the_workflow(run: Run, calls: list[Any]) -> None:
    run("confirm", "small", "--top", 1, "--trial", 4, "--trial", 0, "--seeds", 2)
    run("ablate", "small", "--seeds", 2, "--address", "auto")
    assert calls[0][2] == {"top": 1, "trials": [4, 0], "seeds": 2, "address": None}
    assert calls[1][2] == {"seeds": 2, "address": "auto"}


@pytest.mark.parametrize("command", ["confirm", "ablate"])
def test_results_that_were_not_copied_end_with_1(run: Run, calls: list[Any], command: str) -> None:
    assert run(command, "full-store").status == 1


@pytest.mark.parametrize(
    "arguments",
    [("confirm", "small", "--seeds", 1), ("ablate", "small", "--seeds", 1), ("confirm",)],
)
def test_one_seed_shows_nothing_and_is_refused(
    refusal: Callable[..., str], calls: list[Any], arguments: tuple[Any, ...]
) -> None:
    assert refusal(*arguments)
    assert calls == []


def test_a_folder_without_a_search_is_refused(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "holds no search" in refusal("confirm", tmp_path)
    assert "holds no search" in refusal("ablate", tmp_path)
