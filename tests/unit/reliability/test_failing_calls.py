"""A search in whose folder the n-th call fails, for every n."""

from __future__ import annotations

import errno
import itertools
import shutil
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from support.failing_calls import FailingCalls, Failure, ProcessKilled
from support.file_calls import FileCalls
from support.searched_folder import SearchWithoutRay, make_spec, outcome, resume_and_compare

from adaptune.errors import AdaptuneError, ResultsError
from adaptune.results.folder import results_folder
from adaptune.spec.schema import SearchSpec
from adaptune.workflows.results_view import search_status

PARTS = 4  # each is a test, to stay below the time limit of a test
CODES = {Failure.ONCE: errno.EIO, Failure.FROM_THEN_ON: errno.ENOSPC, Failure.KILL: 0}


def disturbed_run(search: SearchWithoutRay, spec: SearchSpec, calls: FailingCalls) -> list[str]:
    """Run the search with a failing call; return errors that a user would get as a traceback."""
    folder = results_folder(spec.name, spec.storage).path
    try:
        with pytest.MonkeyPatch.context() as patch, suppress(AdaptuneError, ProcessKilled):
            FileCalls(folder.parent, calls).install(patch)
            search.run(spec)
        with suppress(ResultsError):  # it may not have begun
            search_status(folder)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("failure", Failure)
def test_after_the_failure_of_any_call_a_resume_completes_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Failure, part: int
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root = tmp_path / "results"
    spec = make_spec(root)
    search = SearchWithoutRay()
    search.install(monkeypatch)
    search.run(spec)
    expected = outcome(spec)
    assert [row["state"] for row in expected.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert resume_and_compare(search, spec, expected) == []
    differences = []
    for n in itertools.count(1 + part, PARTS):
        shutil.rmtree(root)
        calls = FailingCalls(n, failure, CODES[failure])
        messages = disturbed_run(search, spec, calls)
        if calls.failed is None:
            break
        # A checkpoint that could not be written may be that of the best model.
        exact = failure is Failure.KILL
        messages += resume_and_compare(search, spec, expected, exact=exact)
        differences += [f"call {n}, {calls.failed}: {message}" for message in messages]
    assert differences == []
    assert n > 200
