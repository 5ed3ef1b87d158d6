"""The YAML of a search: its schema, reading it, writing it."""

from adaptune.spec.load import load
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.spec.serialize import dump, fingerprint

__all__ = ["SearchSpec", "TrialSpec", "dump", "fingerprint", "load"]
