"""An export at work on image files and labelled domains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adaptune.artifacts import Export, evaluate_export, load_export, predict, translate
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError
from adaptune.training.significance import accuracy_interval

Save = Callable[..., Path]


@pytest.fixture
def export(best: Path) -> Export:
    return load_export(best)


def test_predict_names_a_class_and_its_probability_for_each_image_of_a_folder(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [
        image(tmp_path / "in" / name, seed)
        for seed, name in enumerate(["a.png", "b.png", "deep/c.jpg"])
    ]
    (tmp_path / "in" / "notes.txt").write_text("no image")
    found = list(predict(export, [tmp_path / "in"], batch_size=2))
    assert [prediction.path for prediction in found] == files
    for prediction in found:
        pixels = decode(prediction.path, "image")
        probabilities = export.classifier(export.transform([pixels], "target")).softmax(dim=1)[0]
        assert prediction.class_name == export.class_names[int(probabilities.argmax())]
        assert prediction.probability == pytest.approx(float(probabilities.max()), abs=1e-6)


def test_predict_prepares_images_as_the_target_domain(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png", edge=40)
    middle = decode(file, "image")[14:26, 14:26]  # the target's centre crop of 12 px
    Image.fromarray(middle).save(tmp_path / "middle.png")
    whole, cropped = predict(export, [file, tmp_path / "middle.png"])
    assert whole.probability == pytest.approx(cropped.probability, abs=1e-6)


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


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source"])
def test_translate_writes_pngs_of_the_trained_size(
    export: Export, image: Save, tmp_path: Path, direction: str
) -> None:
    files = [image(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "b.png"])]
    written = translate(export, files, tmp_path / "out", direction, batch_size=1)  # type: ignore[arg-type]
    assert written == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]
    assert {decode(file, file.name).shape for file in written} == {(16, 16, 3)}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in written)


def test_translate_crops_as_the_domain_of_its_input(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png", edge=20)  # the source's crop is 24 px, the target's 12
    translate(export, [file], tmp_path / "out", "target_to_source")
    with pytest.raises(DataError, match="crop 24 px"):
        translate(export, [file], tmp_path / "out", "source_to_target")


def test_translate_overwrites_neither_of_two_inputs_of_one_name(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / part / "a.png", seed) for seed, part in enumerate("xy")]
    files.append(image(tmp_path / "x" / "a-2.png", seed=2))
    written = translate(export, files, tmp_path / "out", "source_to_target")
    assert [file.name for file in written] == ["a.png", "a-2.png", "a-2-2.png"]
    assert len({file.read_bytes() for file in written}) == 3


def test_translate_into_the_folder_of_the_inputs_leaves_them_as_they_are(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png")
    before = file.read_bytes()
    assert translate(export, [file], tmp_path, "source_to_target") == [tmp_path / "a-2.png"]
    assert file.read_bytes() == before


def labelled(image: Save, root: Path, names: tuple[str, ...], each: int = 3) -> str:
    for label, name in enumerate(names):
        for number in range(each):
            image(root / name / f"{number}.png", seed=10 * label + number)
    return f"imagefolder:{root}"


def test_evaluate_agrees_with_the_predictions_of_the_same_images(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names)
    scores = evaluate_export(export, domain, tmp_path)
    hits = sum(
        found.class_name == found.path.parent.name for found in predict(export, [tmp_path / "eval"])
    )
    assert (scores["n"], scores["accuracy"]) == (9, pytest.approx(hits / 9))
    assert scores["accuracy_ci95"] == list(accuracy_interval(hits, 9))
    assert [sum(row) for row in scores["confusion"]] == [3, 3, 3]
    for index, name in enumerate(export.class_names):
        assert scores["recall"][name] == pytest.approx(scores["confusion"][index][index] / 3)
    assert scores["seen_in_training"] is False


def test_evaluate_refuses_other_classes_and_lists_both(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", ("cat", "cow"), each=1)
    with pytest.raises(DataError, match=r"export: cat, dog, owl\n.*: cat, cow"):
        evaluate_export(export, domain, tmp_path)


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(0, 10, (0.0, 1 - 0.025**0.1)), (10, 10, (0.025**0.1, 1.0)), (5, 10, (0.187086, 0.812914))],
)
def test_the_interval_is_clopper_and_pearsons(
    hits: int, n: int, expected: tuple[float, float]
) -> None:
    assert accuracy_interval(hits, n) == pytest.approx(expected, abs=1e-6)
