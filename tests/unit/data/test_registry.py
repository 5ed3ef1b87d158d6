from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.domains import load, png, write_folder, write_table

from adaptune.data import registry
from adaptune.data.domain import LoadRequest, RawDomain
from adaptune.data.registry import DOMAINS, DomainEntry, is_same_domain, share_samples
from adaptune.errors import DataError
from adaptune.spec.data import PATH_KINDS


def stripes(request: LoadRequest) -> RawDomain:
    """Load six images of 16 px, horizontal and vertical in turn, brighter with the seed."""
    images = np.zeros((6, 16, 16), np.uint8)
    images[0::2, ::2, :] = 100 + request.seed
    images[1::2, :, ::2] = 100 + request.seed
    return RawDomain(images[request.half], np.array([0, 1] * 3)[request.half], ("h", "v"))


def test_a_domain_is_added_by_an_entry_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DOMAINS, "stripes", DomainEntry("six striped images", stripes))
    domain = load("stripes", size=16, channels=1, seed=5)
    assert domain.name == "stripes"
    assert domain.class_names == ("h", "v")
    assert domain.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert domain.images[0, 0, :2, 0].tolist() == [105, 0]
    assert registry.describe()["stripes"] == "six striped images"
    with pytest.raises(DataError, match="Did you mean 'stripes'"):
        registry.check_name("stripe")


def test_a_loader_gets_the_path_with_the_home_folder_expanded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = []

    def record(request: LoadRequest) -> RawDomain:
        requests.append(request)
        return stripes(request)

    monkeypatch.setitem(DOMAINS, "files", DomainEntry("files", record, takes_path=True))
    load("files:~/images", root=Path("root"), size=16, seed=3)
    assert [(request.root, request.path, request.seed) for request in requests] == [
        (Path("root"), Path.home() / "images", 3)
    ]


def test_limit_is_stratified_and_seeded() -> None:
    some = load("mnist5k", limit=200, size=16)
    assert np.bincount(some.labels).tolist() == [20] * 10
    assert np.array_equal(load("mnist5k", limit=200, size=16).images, some.images)
    assert not np.array_equal(load("mnist5k", limit=200, size=16, seed=1).images, some.images)


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"Did you mean 'mnistm5k'\?.*mnist5k.*optdigits.*parquet:PATH"
    ):
        load("mnistm5kk")


@pytest.mark.parametrize(
    "name", ["nothing-like-it", "mnist5k:x", "imagefolder", "parquet:", "imagefolder:"]
)
def test_a_name_that_is_not_complete_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="domain"):
        registry.check_name(name)


def test_a_name_that_lacks_its_path_is_completed_in_the_message() -> None:
    with pytest.raises(DataError, match="'parquet:' lacks its path: write parquet:PATH"):
        registry.check_name("parquet:")


def test_every_name_is_described() -> None:
    built_in = ["mnist5k", "mnistm5k", "optdigits"]
    downloaded = ["mnist", "mnist:test", "usps", "usps:test", "svhn", "svhn:test"]
    with_path = ["imagefolder:PATH", "imagelist:PATH", "parquet:PATH"]
    assert registry.names() == [*built_in, *downloaded, *with_path]
    assert list(registry.describe()) == registry.names()
    assert all(registry.describe().values())


def test_a_domain_with_another_spelling_of_its_path_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_same_domain(f"imagefolder:{tmp_path}", f"imagefolder:{tmp_path}/link/.")
    assert not is_same_domain(f"imagefolder:{tmp_path}", f"parquet:{tmp_path}")
    assert is_same_domain("usps", "usps")
    assert not is_same_domain("mnist", "mnist5k")


CONTROL_NAMES = {
    "tab": ("a\tb", r"a\tb"),
    "newline": ("a\nb", r"a\nb"),
    "escape sequence": ("\x1b[2J", r"\x1b[2J"),
    "from right to left": ("a\u202eb", r"a\u202eb"),
    "a byte that is no UTF-8": ("a\udcff", r"a\udcff"),
}


@pytest.mark.parametrize(("name", "shown"), CONTROL_NAMES.values(), ids=CONTROL_NAMES.keys())
def test_a_class_name_with_control_characters_is_refused(
    tmp_path: Path, name: str, shown: str
) -> None:
    domain = write_folder(tmp_path, {"cat": 1, name: 1})
    with pytest.raises(DataError) as caught:
        load(domain)
    assert str(caught.value) == (
        f"domain {domain}: the class name '{shown}' has control characters or bytes that are not"
        " UTF-8, shown here as escapes; rename the class"
    )


def test_a_class_name_of_a_table_with_control_characters_is_refused(tmp_path: Path) -> None:
    name = write_table(tmp_path / "a.parquet", [png(1), png(2)], ["a", "b\r"])
    with pytest.raises(DataError, match=r"the class name 'b\\r' has control characters"):
        load(name)


def test_a_class_name_of_any_script_is_accepted(tmp_path: Path) -> None:
    names = ["<script>", "a|b", "می\u200cخواهم", "犬", "=1+1"]
    domain = write_folder(tmp_path, dict.fromkeys(names, 1))
    assert load(domain).class_names == tuple(sorted(names))


def test_names_with_a_path_are_shown_with_it() -> None:
    with_path = [name for name in registry.names() if name.endswith(":PATH")]
    assert with_path == ["imagefolder:PATH", "imagelist:PATH", "parquet:PATH"]
    assert with_path == [f"{kind}:PATH" for kind in PATH_KINDS]


@pytest.mark.parametrize("name", ["mnist:train", "optdigits:test", "usps:", "usps:test/x"])
def test_other_splits_than_the_published_tests_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"there is no domain '{name}'"):
        registry.check_name(name)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("mnist5k", "mnist5k", True),
        ("mnist5k", "mnistm5k", True),
        ("mnist", "mnistm5k", True),
        ("optdigits", "optdigits", True),
        ("mnist5k", "optdigits", False),
        ("usps", "svhn", False),
        ("usps", "usps:test", False),
        ("usps:test", "usps:test", True),
        ("mnist", "mnist:test", False),
        ("mnist:test", "mnist5k", True),
        ("mnist:test", "usps:test", False),
        ("imagefolder:a/b", "imagefolder:a/./c/../b", True),
        ("imagefolder:a", "imagefolder:b", False),
        ("imagefolder:a", "parquet:a", False),
        ("parquet:a", "parquet:./a/b.parquet", True),
        ("parquet:a/c/d.parquet", "parquet:a", True),
        ("parquet:a", "parquet:ab/c.parquet", False),
        ("imagefolder:a", "imagefolder:a/b", True),
        ("imagefolder:a", "imagefolder:ab", False),
        ("imagelist:a/b.txt", "imagelist:a/../a/b.txt", True),
        ("imagelist:a/b.txt", "imagelist:a/c.txt", False),
        ("unregistered", "unregistered", True),
        ("unregistered", "mnist", False),
    ],
)
def test_domains_share_samples_by_place_or_by_their_digits(
    first: str, second: str, shared: bool
) -> None:
    assert share_samples(first, second) is shared
    assert share_samples(second, first) is shared


def test_a_crop_larger_than_the_image_names_the_domain() -> None:
    with pytest.raises(DataError, match="optdigits: crop 20 px does not fit an image of 8 × 8"):
        load("optdigits", crop=20)


def test_importing_loads_no_data_library() -> None:
    code = (
        "import sys, adaptune.data.splits;"
        "libraries = ('mlxtend', 'sklearn', 'torchvision', 'pyarrow');"
        "sys.exit(any(name in sys.modules for name in libraries))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
