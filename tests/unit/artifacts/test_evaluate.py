"""Evaluations agree with predictions, and with scores derived by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.domains import make_domain

from adaptune.artifacts import Export, evaluate_export, predict
from adaptune.errors import DataError
from adaptune.training.significance import accuracy_interval

Save = Callable[..., Path]


def labelled(image: Save, root: Path, names: tuple[str, ...], per_class: int = 3) -> str:
    for label, name in enumerate(names):
        for number in range(per_class):
            image(root / name / f"{number}.png", seed=10 * label + number)
    return f"imagefolder:{root}"


def trained_on(export: Export, source: str, target: str) -> Export:
    """Return the export as if it had been trained on these domains."""
    data = export.config.data
    renamed = data.model_copy(
        update={
            "source": data.source.model_copy(update={"domain": source}),
            "target": data.target.model_copy(update={"domain": target}),
        }
    )
    return replace(export, config=export.config.model_copy(update={"data": renamed}))


def with_classes(export: Export, class_names: tuple[str, ...]) -> Export:
    return replace(export, config=export.config.model_copy(update={"class_names": class_names}))


def labelled_in_place(image: Save, root: Path, names: tuple[str, ...]) -> str:
    """Replace the images of a folder by images that are smaller than the source's crop."""
    for name in names:
        image(root / name / "0.png", edge=20)
    return f"imagefolder:{root}"


def parquet_domain(image: Save, folder: Path, labels: list[str | None]) -> str:
    encoded = []
    for seed in range(len(labels)):
        encoded.append(image(folder / f"{seed}.png", seed).read_bytes())
    column = pa.array(labels, type=pa.string())
    parquet.write_table(pa.table({"image": encoded, "label": column}), folder / "a.parquet")
    return f"parquet:{folder / 'a.parquet'}"


def test_evaluate_agrees_with_the_predictions_of_the_same_images(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names)
    evaluation = evaluate_export(export, domain, tmp_path)
    hits = sum(
        prediction.class_name == prediction.path.parent.name
        for prediction in predict(export, [tmp_path / "eval"])
    )
    assert evaluation.n == 9
    assert evaluation.accuracy == pytest.approx(hits / 9)
    assert evaluation.accuracy_ci95 == accuracy_interval(hits, 9)
    recalls = [evaluation.recall[name] or 0.0 for name in export.class_names]
    assert list(evaluation.metrics) == ["accuracy", "mean_recall", "macro_f1"]
    mean_recall = evaluation.metrics["mean_recall"]
    assert mean_recall.value == pytest.approx(sum(recalls) / 3)
    assert mean_recall.ci95[0] <= mean_recall.value <= mean_recall.ci95[1]
    assert [sum(row) for row in evaluation.confusion] == [3, 3, 3]
    for index, name in enumerate(export.class_names):
        assert evaluation.recall[name] == pytest.approx(evaluation.confusion[index][index] / 3)
    assert evaluation.seen_in_training is False
    assert evaluation.includes_held_out_test is False


def test_an_evaluation_names_its_domain_and_classes(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names, per_class=1)
    evaluation = evaluate_export(export, domain, str(tmp_path))
    assert evaluation.domain == domain
    assert evaluation.class_names == ("cat", "dog", "owl")


def test_evaluate_refuses_further_classes_and_lists_both(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", ("cat", "cow"), per_class=1)
    message = (
        r"has classes that the export does not have: cow\n  export: cat, dog, owl\n.*: cat, cow"
    )
    with pytest.raises(DataError, match=message):
        evaluate_export(export, domain, tmp_path)


def test_classes_are_matched_by_name_not_by_order(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names)
    before = evaluate_export(export, domain, tmp_path)
    reordered = with_classes(export, ("owl", "cat", "dog"))
    after = evaluate_export(reordered, domain, tmp_path)
    # Logit 0 now means owl: each row moves to its class's new index, the columns stay.
    assert after.confusion == (before.confusion[2], before.confusion[0], before.confusion[1])


def test_samples_without_a_label_are_left_out(export: Export, image: Save, tmp_path: Path) -> None:
    labels = ["cat", None, "dog", "owl", None, "owl"]
    evaluation = evaluate_export(export, parquet_domain(image, tmp_path, labels), tmp_path)
    assert evaluation.n == 4
    assert [sum(row) for row in evaluation.confusion] == [1, 1, 2]


def test_a_domain_without_labels_is_refused(export: Export, image: Save, tmp_path: Path) -> None:
    domain = parquet_domain(image, tmp_path, [None, None])
    with pytest.raises(DataError, match=r"a\.parquet has no labels to evaluate against"):
        evaluate_export(export, domain, tmp_path)


def test_images_of_the_source_domain_are_preprocessed_like_it_and_all_others_like_the_target(
    export: Export, image: Save, tmp_path: Path
) -> None:
    for name in export.class_names:
        image(
            tmp_path / "eval" / name / "0.png", edge=20
        )  # the source's crop of 24 px does not fit
    domain = f"imagefolder:{tmp_path / 'eval'}"
    assert evaluate_export(export, domain, tmp_path).n == 3
    same_domain = trained_on(export, source=domain, target=domain)
    assert evaluate_export(same_domain, domain, tmp_path).n == 3
    other_target = trained_on(export, source=domain, target="usps")
    with pytest.raises(DataError, match="crop 24 px"):
        evaluate_export(other_target, domain, tmp_path)


def test_the_target_domain_was_seen_in_training_and_includes_the_held_out_test(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names, per_class=1)
    adapted = trained_on(export, source="usps", target=domain)
    evaluation = evaluate_export(adapted, domain, tmp_path)
    assert evaluation.seen_in_training
    assert evaluation.includes_held_out_test


def test_the_source_domain_was_seen_in_training_but_includes_no_held_out_test(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names, per_class=1)
    adapted = trained_on(export, source=domain, target="usps")
    evaluation = evaluate_export(adapted, domain, tmp_path)
    assert evaluation.seen_in_training
    assert not evaluation.includes_held_out_test


def test_a_domain_may_lack_classes_of_the_export(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "eval", ("owl", "cat"), per_class=2)
    evaluation = evaluate_export(export, domain, tmp_path)
    assert evaluation.n == 4
    assert evaluation.class_names == ("cat", "dog", "owl")
    assert evaluation.recall["dog"] is None
    assert [sum(row) for row in evaluation.confusion] == [2, 0, 2]
    hits = evaluation.confusion[0][0] + evaluation.confusion[2][2]
    assert evaluation.accuracy == hits / 4


@pytest.mark.parametrize(
    "spelling", ["eval/.", "./eval", "link", "other/../eval", "~/eval", "~/link/"]
)
def test_a_domain_is_recognised_however_its_path_is_spelt(
    export: Export, image: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    domain = labelled(image, tmp_path / "eval", export.class_names, per_class=1)
    (tmp_path / "link").symlink_to(tmp_path / "eval")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    as_target = evaluate_export(trained_on(export, "usps", domain), f"imagefolder:{spelling}", ".")
    assert as_target.seen_in_training
    assert as_target.includes_held_out_test
    small = labelled_in_place(image, tmp_path / "eval", export.class_names)
    with pytest.raises(DataError, match="crop 24 px does not fit"):  # the crop of the source
        evaluate_export(trained_on(export, small, "usps"), f"imagefolder:{spelling}", ".")


def test_a_named_test_is_the_held_out_test_and_the_target_is_not(
    export: Export, image: Save, tmp_path: Path
) -> None:
    domain = labelled(image, tmp_path / "train", export.class_names, per_class=1)
    test = labelled(image, tmp_path / "test", export.class_names, per_class=1)
    adapted = trained_on(export, source="usps", target=domain)
    data = adapted.config.data
    target = data.target.model_copy(update={"test": test})
    config = adapted.config.model_copy(update={"data": data.model_copy(update={"target": target})})
    adapted = replace(adapted, config=config)
    assert not evaluate_export(adapted, domain, tmp_path).includes_held_out_test
    evaluation = evaluate_export(adapted, test, tmp_path)
    assert evaluation.includes_held_out_test
    assert not evaluation.seen_in_training


def test_a_part_of_a_table_of_the_target_may_hold_the_test(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = parquet_domain(image, tmp_path / "data", ["cat", "dog", "owl"])
    evaluation = evaluate_export(trained_on(export, "usps", f"parquet:{tmp_path}"), file, ".")
    assert evaluation.seen_in_training
    assert evaluation.includes_held_out_test


@pytest.mark.parametrize(("source", "seen"), [("mnistm5k", True), ("optdigits", False)])
def test_domains_that_are_made_of_the_same_digits_count_as_seen(
    export: Export, source: str, seen: bool
) -> None:
    digits = tuple(str(digit) for digit in range(10))
    adapted = with_classes(trained_on(export, source=source, target="usps"), digits)
    evaluation = evaluate_export(adapted, "mnist5k", "unused")
    assert evaluation.seen_in_training is seen
    assert evaluation.n == 5000
    # f_T has three logits only, so it never predicts the other seven digits.
    assert evaluation.recall["9"] == 0.0


def test_the_recall_of_a_class_without_images_is_not_known(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.zeros((2, 3, 16, 16), dtype=np.uint8)
    domain = make_domain("black", images, [0, 1], export.class_names)
    monkeypatch.setattr("adaptune.artifacts.evaluate.load_domain", lambda *_, **__: domain)
    evaluation = evaluate_export(export, "black", "unused")
    assert evaluation.recall["owl"] is None
    # f_T predicts the same class for both images, as they are equal.
    assert {evaluation.recall["cat"], evaluation.recall["dog"]} <= {0.0, 1.0}
    assert evaluation.confusion[2] == (0, 0, 0)


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(0, 10, (0.0, 1 - 0.025**0.1)), (10, 10, (0.025**0.1, 1.0)), (5, 10, (0.187086, 0.812914))],
)
def test_the_interval_is_clopper_and_pearsons(
    hits: int, n: int, expected: tuple[float, float]
) -> None:
    assert accuracy_interval(hits, n) == pytest.approx(expected, abs=1e-6)
