from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_search import make_record, make_search
from support.report_results import grid, save_grids

from adaptune.report.sample_pictures import sample_pictures, spread
from adaptune.results.folder import ResultsFolder
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.checkpoint import CheckpointFolder


def picture_of(uri: str) -> Image.Image:
    form, _, contents = uri.partition(";base64,")
    assert form == "data:image/webp"
    return Image.open(io.BytesIO(base64.b64decode(contents)))


def test_all_grids_are_shown_if_there_is_room(tmp_path: Path, study: SearchStudy) -> None:
    folder = ResultsFolder(tmp_path)
    save_grids(folder, study)
    pictures = sample_pictures(folder, study, best=0)
    for trial in study.started_trials():
        assert list(pictures.uris[trial.number]) == list(trial.curve)
    assert pictures.left_out == 0
    assert next(iter(pictures.uris)) == study.ranked_trials()[0].number
    assert picture_of(pictures.uris[0][1]).size == (342, 172)


def test_the_best_trial_and_the_last_epochs_come_first(tmp_path: Path, study: SearchStudy) -> None:
    folder = ResultsFolder(tmp_path)
    save_grids(folder, study)
    best = study.ranked_trials()[0]
    size = len(sample_pictures(folder, study, best.number).uris[best.number][1])
    pictures = sample_pictures(folder, study, best.number, budget=14 * size)
    assert 4 <= len(pictures.uris[best.number]) <= 6
    assert best.last_epoch in pictures.uris[best.number]
    second = study.ranked_trials()[1]
    assert second.last_epoch in pictures.uris[second.number]
    shown = sum(map(len, pictures.uris.values()))
    assert shown + pictures.left_out == sum(len(trial.curve) for trial in study.started_trials())
    total = sum(len(uri) for uris in pictures.uris.values() for uri in uris.values())
    assert total <= 14 * size


def test_trials_of_a_group_share_their_pictures(tmp_path: Path) -> None:
    study = create_study(make_search())
    for trial, accuracy in zip(study.ask_group(2), (0.5, 0.75), strict=True):
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=9, error=None, wall_s=1.0)
    folder = ResultsFolder(tmp_path)
    folder.checkpoints(0).save_sample_grid(1, grid(np.random.default_rng(0)))
    pictures = sample_pictures(folder, study, best=1)
    assert list(pictures.uris) == [0]
    assert pictures.groups == {0: [0, 1]}


def test_a_damaged_grid_is_left_out(tmp_path: Path, study: SearchStudy) -> None:
    ResultsFolder(tmp_path).checkpoints(0).save_sample_grid(1, b"a picture")
    pictures = sample_pictures(ResultsFolder(tmp_path), study, best=0)
    assert (pictures.uris, pictures.left_out) == ({}, 1)


def test_large_grids_are_shrunk(tmp_path: Path, study: SearchStudy) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2582, 1292)).save(file, "png")
    ResultsFolder(tmp_path).checkpoints(0).save_sample_grid(1, file.getvalue())
    pictures = sample_pictures(ResultsFolder(tmp_path), study, best=0)
    assert picture_of(pictures.uris[0][1]).size == (662, 331)


def test_epochs_are_spread_evenly() -> None:
    assert spread([1, 2, 3, 4, 5]) == [5, 1, 3, 2, 4]
    assert spread([7]) == [7]
    assert spread([]) == []


def test_a_store_that_does_not_answer_costs_the_pictures_only(
    tmp_path: Path, study: SearchStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: CheckpointFolder) -> None:
        raise OSError("no answer")

    monkeypatch.setattr(CheckpointFolder, "files", refuse)
    assert sample_pictures(ResultsFolder(tmp_path), study, best=0).uris == {}
