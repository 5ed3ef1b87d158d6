"""A SearchSpec as YAML, and its fingerprint."""

from __future__ import annotations

import hashlib
import os

import yaml

from adaptune.spec.data import DataSpec
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.spec.yaml_types import Dumper

# What may differ between a search and its resume.
_FREE_SECTIONS = ("name", "storage", "resources", "execution", "tracking")


def dump_spec(spec: SearchSpec) -> str:
    """Return the spec as YAML with all defaults; `load_spec` reads an equal spec from it."""
    return _to_yaml(_tree(spec))


def fingerprint(spec: SearchSpec) -> str:
    """Return the SHA-256 (hex) of everything that determines the results of trials.

    The place where a search runs, its name, its number of trials and its early end are left out, so
    that they may change when it is resumed. So are the paths of its data, which may be mounted
    elsewhere: the data itself is compared with that of the start.
    """
    tree = _tree(spec)
    for name in _FREE_SECTIONS:
        del tree[name]
    search = tree["search"]
    assert isinstance(search, dict)
    del search["trials"]
    del search["stop_when"]
    search["warm_start"] = [_last_name(folder) for folder in spec.search.warm_start]
    tree["data"] = data_without_paths(spec.data)
    classifier = spec.trial({}).model.classifier
    if classifier.weights_file is not None:  # the hash of the file is compared
        put(tree, "model.classifier.weights", "file")
    return hashlib.sha256(_to_yaml(tree).encode()).hexdigest()


def data_without_paths(spec: DataSpec) -> dict[str, object]:
    """Return the section `data` without the places of the data, with the kind of each domain."""
    places = {"root", "cache", "resident_gb"}
    tree: dict[str, object] = spec.model_dump(mode="json", exclude=places)
    for role, domain in (("source", spec.source), ("target", spec.target)):
        tree[role] = domain.model_dump(mode="json") | {"domain": domain.kind}
    test = spec.target.test_domain()
    if test is not None:
        put(tree, "target.test", test.kind)
    return tree


def _last_name(folder: str) -> str:
    """Return the name of a search by its results folder, which may have moved."""
    return os.path.basename(os.path.normpath(folder))


def _tree(spec: SearchSpec) -> dict[str, object]:
    tree: dict[str, object] = spec.model_dump(mode="json")
    for path, distribution in spec.space.items():
        put(tree, path, distribution.model_dump(mode="json", exclude_defaults=True))
    return tree


def _to_yaml(tree: dict[str, object]) -> str:
    return str(yaml.dump(tree, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=100))
