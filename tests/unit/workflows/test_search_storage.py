"""A search whose study or whose copy is elsewhere, over simulated trials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_run import PLAN, SimulatedTrials, fail_with

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResourceError, ResultsError
from adaptune.results.lifecycle import open_existing
from adaptune.results.remote_lease import RemoteLease
from adaptune.spec.schema import SearchSpec
from adaptune.study.lease import StudyLease
from adaptune.study.storage import has_study
from adaptune.workflows import search
from adaptune.workflows.search import run


def in_database(spec: SearchSpec, url: str) -> SearchSpec:
    storage = spec.storage.model_copy(update={"study": url})
    return spec.model_copy(update={"storage": storage})


def test_a_search_in_a_database_is_not_begun_twice(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    storage = spec.storage.model_copy(update={"study": f"sqlite:///{tmp_path}/studies.db"})
    run(spec.model_copy(update={"storage": storage}))
    elsewhere = storage.model_copy(update={"out": str(tmp_path / "elsewhere")})
    with pytest.raises(ResultsError, match="holds a study fake already: add --resume"):
        run(spec.model_copy(update={"storage": elsewhere}))
    assert not (tmp_path / "elsewhere").exists()


def test_a_refused_search_leaves_no_study_in_its_database(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    with pytest.MonkeyPatch.context() as patch:
        fail_with(patch, "plan_on_cluster", ResourceError("no room"))
        with pytest.raises(ResourceError):
            run(in_database(spec, url))
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]
    assert not has_study("fake", url)
    assert run(in_database(spec, url)).export is not None


def test_a_study_with_trials_is_never_removed_from_its_database(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"

    def fail_late(search_run: Any) -> None:
        search_run.study.ask()
        raise ResourceError("no room")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "run_trials", fail_late)
        with pytest.raises(ResourceError):
            run(in_database(spec, url))
    assert (tmp_path / "fake").exists()
    assert has_study("fake", url)


def test_a_wrong_warm_start_is_found_before_anything_is_created(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    sections = spec.search.model_copy(update={"warm_start": (str(tmp_path / "nowhere"),)})
    warm = in_database(spec, f"sqlite:///{tmp_path}/studies.db")
    with pytest.raises(ResultsError, match="nowhere holds no search"):
        run(warm.model_copy(update={"search": sections}))
    assert list(tmp_path.iterdir()) == []


def test_a_resume_from_another_folder_finds_the_same_database(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(in_database(spec, "sqlite:///studies.db"))
    stored = open_existing(tmp_path / "fake")[1]
    assert stored.storage.study == f"sqlite:///{tmp_path}/studies.db"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "fake" / "trials").mkdir(exist_ok=True)
    message = "holds the trials of a search, but storage.study holds no study fake: check"
    with pytest.raises(ResultsError, match=message):
        run(in_database(spec, "sqlite:///studies.db"), resume=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert run(stored, resume=True).export is not None


def test_a_search_holds_the_leases_of_its_database_and_its_copy(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    remote = (tmp_path / "store").as_uri()
    storage = spec.storage.model_copy(update={"study": url, "remote": remote})
    places = (StudyLease(url, "fake"), RemoteLease(f"{remote}/fake"))
    holders = []

    def plan(*_: object) -> PlacementPlan:
        holders.extend(place.read() for place in places)
        return PLAN

    monkeypatch.setattr(search, "plan_on_cluster", plan)
    run(spec.model_copy(update={"storage": storage}))
    assert [holder and holder.process for holder in holders] == [os.getpid(), os.getpid()]
    assert [place.read() for place in places] == [None, None]
