"""A SearchSpec as YAML, and its fingerprint."""

from __future__ import annotations

import hashlib

import yaml

from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.spec.yaml_types import Dumper

# What may differ between a search and its resume.
_FREE_SECTIONS = ("name", "storage", "resources", "execution")


def dump_spec(spec: SearchSpec) -> str:
    """Return the spec as YAML with all defaults; `load_spec` reads an equal spec from it."""
    return _to_yaml(_tree(spec))


def fingerprint(spec: SearchSpec) -> str:
    """Return the SHA-256 (hex) of everything that determines the results of trials.

    The place where a search runs, its name and its number of trials are left out, so that they may
    change when it is resumed.
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
