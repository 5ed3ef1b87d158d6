"""Predictions agree with f_T on images that are preprocessed like the target domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adaptune.artifacts import Export, predict
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError

Save = Callable[..., Path]


def test_predict_names_a_class_and_its_probability_for_each_image_of_a_folder(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [
        image(tmp_path / "in" / name, seed)
        for seed, name in enumerate(["a.png", "b.png", "deep/c.jpg"])
    ]
    (tmp_path / "in" / "notes.txt").write_text("no image")
    predictions = list(predict(export, [tmp_path / "in"], batch_size=2))
    assert [prediction.path for prediction in predictions] == files
    for prediction in predictions:
        pixels = decode(prediction.path, "image")
        probabilities = export.classifier(export.transform([pixels], "target")).softmax(dim=1)[0]
        assert prediction.class_name == export.class_names[int(probabilities.argmax())]
        assert prediction.probability == pytest.approx(float(probabilities.max()), abs=1e-6)


def test_predict_tells_how_many_images_are_done(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    counts: list[tuple[int, int]] = []
    list(predict(export, files, 2, notify=lambda done, total: counts.append((done, total))))
    assert counts == [(2, 3), (3, 3)]


def test_predict_prepares_images_as_the_target_domain(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png", edge=40)
    middle = decode(file, "image")[14:26, 14:26]  # the target's centre crop of 12 px
    Image.fromarray(middle).save(tmp_path / "middle.png")
    whole, cropped = predict(export, [file, tmp_path / "middle.png"])
    assert whole.probability == pytest.approx(cropped.probability, abs=1e-6)


def test_predict_accepts_paths_as_text(export: Export, image: Save, tmp_path: Path) -> None:
    file = image(tmp_path / "in" / "a.png")
    from_text = list(predict(export, [str(tmp_path / "in")]))
    assert from_text == list(predict(export, [file]))
    assert from_text == list(predict(export, str(file)))


def test_an_unreadable_image_is_named(export: Export, image: Save, tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"not a png")
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image"):
        list(predict(export, [tmp_path / "in"]))


def test_an_image_too_small_for_the_crop_is_named(
    export: Export, image: Save, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"tiny\.png: crop 12 px does not fit"):
        list(predict(export, [image(tmp_path / "tiny.png", edge=8)]))


def test_a_missing_path_and_an_empty_folder_are_refused_before_any_work(
    export: Export, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (("absent.png", r"absent\.png"), ("empty", "no image in")):
        with pytest.raises(DataError, match=message):
            predict(export, [tmp_path / path])
