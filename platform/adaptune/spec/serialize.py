"""A SearchSpec written back to YAML, and the fingerprint that a results folder knows it by."""

from __future__ import annotations

import hashlib

import yaml

from adaptune.spec.schema import SearchSpec, put
from adaptune.spec.yaml_reader import Dumper

# What may change between a search and its resume.
_FREE_SECTIONS = ("name", "storage", "resources", "execution")


def dump(spec: SearchSpec) -> str:
    """The spec as YAML with every default spelled out; it loads back to an equal spec."""
    return _to_yaml(_tree(spec))


def fingerprint(spec: SearchSpec) -> str:
    """SHA-256 (hex) of all that decides a trial's result.

    Where a search runs, what it is called and how many trials it has are left out, so that a
    resume may change them.
    """
    tree = _tree(spec)
    for name in _FREE_SECTIONS:
        del tree[name]
    search = tree["search"]
    assert isinstance(search, dict)
    del search["trials"]
    return hashlib.sha256(_to_yaml(tree).encode()).hexdigest()


def _tree(spec: SearchSpec) -> dict[str, object]:
    tree: dict[str, object] = spec.model_dump(mode="json")
    for path, distribution in spec.space.items():
        put(tree, path, distribution.model_dump(mode="json", exclude_defaults=True))
    return tree


def _to_yaml(tree: dict[str, object]) -> str:
    return str(yaml.dump(tree, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=100))
