from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from support.image_search import write_classes

from adaptune.data.inspection import InspectedDomain, inspect_domain
from adaptune.data.registry import load_domain, open_domain
from adaptune.spec.data import DomainSpec


def inspected(name: str, **settings: int) -> InspectedDomain:
    spec = DomainSpec(domain=name, size=16, **settings)
    return inspect_domain(open_domain(spec, root=Path(), seed=0))


def test_the_images_are_those_that_a_search_loads(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images", count=40)
    domain = inspected(f"imagefolder:{root}", limit=70)
    spec = DomainSpec(domain=f"imagefolder:{root}", size=16, limit=70)
    loaded = load_domain(spec, root=Path(), seed=0)
    everything = np.arange(70)
    np.testing.assert_array_equal(domain.images.take(everything), loaded.images.take(everything))
    np.testing.assert_array_equal(domain.labels, loaded.labels)
    assert domain.class_names == loaded.class_names
    assert len(domain) == 70


def test_all_unreadable_images_are_named_and_the_others_are_kept(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images")
    (root / "cat" / "3.png").write_bytes(b"text")
    (root / "dog" / "5.png").write_bytes(b"")
    domain = inspected(f"imagefolder:{root}")
    assert len(domain) == len(domain.labels) == len(domain.images.stored_digests()) == 14
    names = [message.partition(" ")[0] for message in domain.unreadable]
    assert names == [str(root / "cat" / "3.png"), str(root / "dog" / "5.png")]
    # Names are those of the readable images.
    assert domain.image_name(3) == "cat/4.png"
    with Image.open(root / "cat" / "4.png") as image:
        np.testing.assert_array_equal(domain.image(3), np.asarray(image).transpose(2, 0, 1))


def test_no_unreadable_image_is_left_out_of_a_long_list(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images", count=30)
    for file in (root / "cat").iterdir():
        file.write_bytes(b"text")
    domain = inspected(f"imagefolder:{root}")
    assert len(domain.unreadable) == len(domain) == 30


def test_a_search_has_nothing_left_to_prepare(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images")
    spec = DomainSpec(domain=f"imagefolder:{root}", size=16)
    (root / "cat" / "3.png").write_bytes(b"text")
    inspect_domain(open_domain(spec, root=Path(), seed=0, cache=tmp_path / "cache"))
    # Once the unreadable image is deleted.
    (root / "cat" / "3.png").unlink()
    undecoded = open_domain(spec, root=Path(), seed=0, cache=tmp_path / "cache")
    assert undecoded.missing_chunks() == []


def test_an_image_that_is_smaller_than_the_crop_is_unreadable(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images")
    Image.new("RGB", (9, 9)).save(root / "cat" / "0.png")
    domain = inspected(f"imagefolder:{root}", crop=12)
    (message,) = domain.unreadable
    assert message == f"{root / 'cat' / '0.png'}: crop 12 px does not fit an image of 9 × 9 px"


def test_stored_forms_are_sorted_by_area(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images", count=2)
    Image.new("L", (40, 10)).save(root / "cat" / "big.jpg")
    Image.new("RGB", (8, 4)).save(root / "dog" / "small.png")
    forms = inspected(f"imagefolder:{root}").stored_forms()
    assert forms.sizes.tolist() == [[8, 4], *[[16, 16]] * 4, [40, 10]]
    assert forms.forms == {"PNG, RGB, 8 bit": 5, "JPEG, grey, 8 bit": 1}


def test_images_of_a_package_have_numbers_for_names() -> None:
    domain = inspected("optdigits", limit=20, channels=1)
    assert domain.image_name(0).startswith("sample ")
    forms = domain.stored_forms()
    assert forms.sizes.tolist() == [[8, 8]] * 20
    assert forms.forms == {"array, 1 channel(s), 8 bit": 20}
