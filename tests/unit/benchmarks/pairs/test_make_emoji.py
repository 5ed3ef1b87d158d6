from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pairs import make_emoji
from pairs.make_emoji import Emoji, Package, choose, class_of, hold_out, identity_of, write_pair
from PIL import Image

PLACES = {
    "animal": ("Animals & Nature", "animal-bird"),
    "face": ("Smileys & Emotion", "face-smiling"),
    "flag": ("Flags", "country-flag"),
    "food": ("Food & Drink", "drink"),
    "hand": ("People & Body", "hands"),
    "object": ("Objects", "tool"),
    "person": ("People & Body", "person-sport"),
    "sign": ("Symbols", "arrow"),
    "travel": ("Travel & Places", "transport-air"),
}
PER_CLASS = 10


def entries() -> Iterator[dict[str, object]]:
    """Ten emoji of each class; those of hands have a variant in a skin tone."""
    for label, (name, (category, subcategory)) in enumerate(PLACES.items()):
        for number in range(PER_CLASS):
            point = f"1F{label}{number:02}"
            variants = {}
            if name == "hand":
                unified = f"{point}-1F3FB"
                variants["1F3FB"] = {"unified": unified, "image": f"{unified.lower()}.png"}
            yield {
                "unified": point,
                "image": f"{point.lower()}.png",
                "category": category,
                "subcategory": subcategory,
                "skin_variations": variants,
            }


def write_package(root: Path, vendor: str, lacks: tuple[str, ...] = ()) -> Package:
    folder = root / "img" / vendor / "64"
    folder.mkdir(parents=True)
    table = [*entries()]
    (root / "emoji.json").write_text(json.dumps(table))
    for members in Package(root).classes().values():
        for emoji in members:
            if emoji.image not in lacks:
                Image.new("RGBA", (64, 64), vendor).save(folder / emoji.image)
    return Package(root)


@pytest.fixture
def packages(tmp_path: Path) -> tuple[Package, Package]:
    return write_package(tmp_path / "a", "red"), write_package(tmp_path / "b", "blue")


def images(folder: Path) -> dict[str, str]:
    """The class of each image of a domain."""
    return {file.name: file.parent.name for file in folder.glob("*/*.png")}


@pytest.mark.parametrize(
    ("unified", "identity"),
    [
        ("1F600", "1F600"),
        ("263A-FE0F", "263A"),
        ("1F3C3-1F3FE-200D-2640-FE0F", "1F3C3"),
        ("1F468-200D-1F692", "1F692"),
        ("1F469-1F3FB-200D-1F692", "1F692"),
        ("1F9D1", "person"),
        ("1F1EA-1F1EC", "1F1EA-1F1EC"),
    ],
)
def test_variants_of_gender_and_skin_tone_have_one_identity(unified: str, identity: str) -> None:
    assert identity_of(unified) == identity


def test_each_class_has_its_subcategories() -> None:
    for name, (category, subcategory) in PLACES.items():
        assert class_of(category, subcategory) == name
    assert class_of("Animals & Nature", "plant-flower") is None
    assert class_of("Component", "skin-tone") is None
    assert set(PLACES) == set(make_emoji.CLASSES)


def test_skin_tones_are_chosen_last() -> None:
    members = [Emoji(f"{number}", f"{number}", number < 6) for number in range(10)]
    chosen = choose(members, 5, np.random.default_rng(0))
    assert sorted(emoji.image for emoji in chosen if not emoji.has_tone) == ["6", "7", "8", "9"]
    assert len(chosen) == 5


def test_no_identity_is_in_both_parts() -> None:
    members = [Emoji(f"{number}", f"{number // 3}") for number in range(30)]
    train, test = hold_out(members, 0.3, np.random.default_rng(0))
    assert len(test) == 9
    assert sorted(emoji.image for emoji in train + test) == sorted(map(str, range(30)))
    assert not {emoji.identity for emoji in train} & {emoji.identity for emoji in test}


def test_each_domain_has_the_style_of_its_vendor(
    tmp_path: Path, packages: tuple[Package, Package]
) -> None:
    counts = write_pair(*packages, tmp_path / "out", limit=15, held_out=0.3, seed=0)
    # The hands are ten and their variants five; two of these may be of one withheld identity.
    assert counts["source"] + counts["target_test"] == 8 * PER_CLASS + 15
    for part, colour in (("source", "red"), ("target", "blue"), ("target_test", "blue")):
        files = sorted((tmp_path / "out" / part).glob("*/*.png"))
        assert len(files) == counts[part]
        expected = Image.new("RGBA", (64, 64), colour).tobytes()
        assert all(Image.open(file).tobytes() == expected for file in files)


def test_no_emoji_of_the_test_is_in_the_source(
    tmp_path: Path, packages: tuple[Package, Package]
) -> None:
    write_pair(*packages, tmp_path / "out", limit=20, held_out=0.3, seed=0)
    source, target = images(tmp_path / "out" / "source"), images(tmp_path / "out" / "target")
    test = images(tmp_path / "out" / "target_test")
    assert source == target
    identities = {name.partition(".")[0].partition("-")[0] for name in source}
    assert not identities & {name.partition(".")[0].partition("-")[0] for name in test}
    assert set(test.values()) == set(source.values()) == set(PLACES)


def test_a_seed_decides_the_parts(tmp_path: Path, packages: tuple[Package, Package]) -> None:
    parts = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"out{number}"
        write_pair(*packages, out, limit=20, held_out=0.3, seed=seed)
        parts.append(images(out / "target_test"))
    assert parts[0] == parts[1]
    assert parts[0] != parts[2]


def test_an_emoji_that_a_vendor_lacks_is_not_used(tmp_path: Path) -> None:
    source = write_package(tmp_path / "a", "red", lacks=("1f000.png",))
    target = write_package(tmp_path / "b", "blue", lacks=("1f101.png",))
    counts = write_pair(source, target, tmp_path / "out", limit=20, held_out=0.3, seed=0)
    assert counts["target"] + counts["target_test"] == 10 * PER_CLASS - 2
    for part in counts:
        assert not {"1f000.png", "1f101.png"} & images(tmp_path / "out" / part).keys()


def test_the_command_explains_a_folder_that_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["make_emoji.py", str(tmp_path), str(tmp_path), str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match="is no unpacked package of one vendor"):
        make_emoji.main()
    assert not (tmp_path / "out").exists()
