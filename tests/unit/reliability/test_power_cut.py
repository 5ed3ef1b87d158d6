"""A search whose machine loses power after any call."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from support.file_calls import FileCalls
from support.power_cut import (
    Recorder,
    final_state,
    read_state,
    states_after_power_cuts,
    write_state,
)
from support.searched_folder import SearchWithoutRay, make_spec, outcome, resume_and_compare

PARTS = 4  # each is a test, to stay below the time limit of a test
OUTPUT_OF_RAY = "fake/ray.log"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_after_a_power_cut_at_any_moment_a_resume_completes_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root = tmp_path / "results"
    root.mkdir()
    spec = make_spec(root)
    search = SearchWithoutRay()
    search.install(monkeypatch)
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        FileCalls(root, recorder).install(patch)
        search.run(spec)
    expected = outcome(spec)
    recorded = final_state(recorder.calls)
    present = read_state(root)
    del present[OUTPUT_OF_RAY]
    assert recorded == present  # nothing is written past the recorder
    differences = []
    states = list(states_after_power_cuts(recorder.calls))
    for moment, state in states[part::PARTS]:
        shutil.rmtree(root)
        write_state(state, root)
        for difference in resume_and_compare(search, spec, expected):
            differences.append(f"{moment}: {difference}")
    assert differences == []
    assert len(states) > 400
