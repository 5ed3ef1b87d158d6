from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.domains import png, write_folder, write_list, write_table

from adaptune.data import registry
from adaptune.data.domain import LoadRequest, RawDomain
from adaptune.data.inspected_pair import inspect_pair
from adaptune.data.registry import DomainEntry
from adaptune.data.splits import load_splits, open_splits
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec

TRAIN = 40
TEST = 10


def made(count: int, value: int, edge: int = 16) -> RawDomain:
    """A domain of two classes whose images have one value."""
    images = np.full((count, edge, edge), value, np.uint8)
    return RawDomain(images, np.arange(count) % 2, ("a", "b"))


@pytest.fixture
def made_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"made": (TRAIN, 50, 16), "made:test": (TEST, 200, 16), "made:larger": (TEST, 200, 20)}
    for name, (count, value, edge) in sizes.items():
        raw = made(count, value, edge)

        def load(request: LoadRequest, raw: RawDomain = raw) -> RawDomain:
            return raw

        monkeypatch.setitem(registry.DOMAINS, name, DomainEntry("made for tests", load))
    monkeypatch.setitem(
        registry.DOMAINS, "other", DomainEntry("made for tests", lambda request: made(20, 9))
    )


def data(target: dict[str, object], **settings: object) -> DataSpec:
    form = {"size": 16, "channels": 1}
    tree = {"source": {"domain": "other", **form}, "target": form | target, **settings}
    return DataSpec.model_validate(tree)


@pytest.mark.usefixtures("made_domains")
def test_the_named_test_is_target_test_and_nothing_is_withheld_for_it() -> None:
    splits = load_splits(data({"domain": "made", "test": "made:test"}), seed=0)
    sizes = {part: len(indices) for part, indices in splits.indices.items()}
    assert sizes["target_train"] + sizes["target_val"] == TRAIN
    assert sizes["target_val"] == 0.2 * TRAIN
    assert splits.indices["target_test"].tolist() == [*range(TRAIN, TRAIN + TEST)]
    tested = splits.withheld.target_test_images.take(np.arange(TEST))
    seen = splits.withheld.target_train_images.take(np.arange(sizes["target_train"]))
    assert (tested == 200).all()
    assert (seen == 50).all()
    assert splits.withheld.target_test_labels.tolist() == [0, 1] * 5


@pytest.mark.usefixtures("made_domains")
def test_the_limit_and_the_labelled_samples_leave_the_test_whole() -> None:
    target = {"domain": "made", "test": "made:test", "limit": 20, "train_labels": 2}
    splits = load_splits(data(target), seed=0)
    assert len(splits.withheld.target_test_labels) == TEST
    assert len(splits.indices["target_train"]) + len(splits.indices["target_val"]) == 20
    labelled = splits.indices["target_labelled"]
    assert set(labelled) <= set(splits.indices["target_train"])


@pytest.mark.usefixtures("made_domains")
def test_a_test_of_images_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="made:larger cannot be the test of made"):
        open_splits(data({"domain": "made", "test": "made:larger"}), seed=0)


@pytest.mark.usefixtures("made_domains")
@pytest.mark.parametrize(("test", "role"), [("made", "target"), ("other", "source")])
def test_a_test_that_training_would_see_is_refused(test: str, role: str) -> None:
    with pytest.raises(DataError, match=f"{test} shares images with the {role} {test}"):
        open_splits(data({"domain": "made", "test": test}), seed=0)


def folders(root: Path, test: dict[str, int] | None = None) -> dict[str, str]:
    return {
        "source": write_folder(root / "s", {"a": 10, "b": 10}),
        "target": write_folder(root / "t", {"a": 10, "b": 10, "c": 10}),
        "test": write_folder(root / "test", test or {"b": 2, "c": 1}),
    }


def folder_data(names: dict[str, str], **settings: object) -> DataSpec:
    target = {"domain": names["target"], "test": names["test"], "size": 16}
    source = {"domain": names["source"], "size": 16}
    return DataSpec.model_validate({"source": source, "target": target, **settings})


def test_a_folder_may_be_the_test_of_a_folder_and_lack_classes(tmp_path: Path) -> None:
    spec = folder_data(folders(tmp_path), classes="intersection")
    splits = load_splits(spec, seed=0)
    # The class c is in the target and the test, but not in the source.
    assert splits.trial.class_names == ("a", "b")
    assert splits.withheld.target_test_labels.tolist() == [1, 1]
    assert len(splits.indices["target_train"]) + len(splits.indices["target_val"]) == 20


def test_an_inspection_shows_the_test(tmp_path: Path) -> None:
    inspected = inspect_pair(folder_data(folders(tmp_path), classes="intersection"), seed=0)
    assert inspected.refusals == ()
    assert inspected.count("target_test", "b") == 2


def test_a_class_that_only_the_test_has_is_refused(tmp_path: Path) -> None:
    names = folders(tmp_path, test={"a": 1, "d": 1})
    with pytest.raises(DataError, match="does not have: d; rename"):
        open_splits(folder_data(names), seed=0)


def test_every_image_of_a_test_needs_a_label(tmp_path: Path) -> None:
    names = folders(tmp_path)
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    (unlabelled / "1.png").write_bytes(png(1))
    names["test"] = f"imagefolder:{unlabelled}"
    with pytest.raises(DataError, match="1 of 1 samples have no label"):
        open_splits(folder_data(names), seed=0)


def test_a_target_without_labels_has_no_test(tmp_path: Path) -> None:
    names = folders(tmp_path)
    names["target"] = f"imagefolder:{tmp_path}/t/a"
    with pytest.raises(DataError, match="to null and score the export"):
        open_splits(folder_data(names), seed=0)


def test_a_file_of_the_target_cannot_be_in_a_listed_test(tmp_path: Path) -> None:
    names = folders(tmp_path)
    file = next((tmp_path / "t" / "a").iterdir())
    names["test"] = write_list(tmp_path / "list", f"{file} a\n")
    with pytest.raises(DataError, match=r"1 image\(s\) are in both"):
        open_splits(folder_data(names), seed=0)


def test_a_table_cannot_be_a_test(tmp_path: Path) -> None:
    names = folders(tmp_path)
    names["test"] = write_table(tmp_path / "t.parquet", [png(1)], ["a"])
    with pytest.raises(DataError, match="or an image folder or image list for an image folder"):
        open_splits(folder_data(names), seed=0)
