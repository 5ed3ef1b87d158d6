from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from support.fake_run import make_summary

from adaptune.evaluation.changed_images import ChangedImage, ChangedImages, write_changed_images
from adaptune.report.changed_pictures import changed_pictures
from adaptune.results.folder import ResultsFolder
from adaptune.results.image_strips import image_strip, picture_uri

PICTURE = image_strip([np.zeros((1, 8, 8), dtype=np.uint8)])
CHANGED = ChangedImages(
    model="trial 3, epoch 5",
    became_wrong=1,
    became_right=30,
    images=(
        ChangedImage(2, "a\x1bb", "a\x1bb", "c", PICTURE),
        ChangedImage(7, "c", "d", "c", PICTURE),
    ),
)
SUMMARY = make_summary(best_trial=3, best_epoch=5)


def test_pictures_are_grouped_by_the_direction_of_the_change(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    write_changed_images(CHANGED, folder.changed_images)
    wrong, right = changed_pictures(folder, SUMMARY)
    assert (wrong.title, wrong.count) == ("right before, wrong after", 1)
    assert (right.title, right.count) == ("wrong before, right after", 30)
    [picture] = wrong.pictures
    assert (picture.label, picture.before, picture.after) == ("a\\x1bb", "a\\x1bb", "c")
    assert picture.uri == picture_uri(PICTURE)
    assert [(image.before, image.after) for image in right.pictures] == [("d", "c")]


def test_images_of_another_model_are_not_shown(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    assert changed_pictures(folder, SUMMARY) == []
    write_changed_images(replace(CHANGED, model="trial 3, epoch 4"), folder.changed_images)
    assert changed_pictures(folder, SUMMARY) == []
    write_changed_images(CHANGED, folder.changed_images)
    assert changed_pictures(folder, make_summary()) == []
    assert len(changed_pictures(folder, SUMMARY)) == 2
