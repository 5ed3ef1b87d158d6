"""The YAML of a search: its schema, reading it, writing it."""

from adaptune.spec.dumping import dump, fingerprint
from adaptune.spec.loading import load
from adaptune.spec.schema import SearchSpec, TrialSpec

__all__ = ["SearchSpec", "TrialSpec", "dump", "fingerprint", "load"]
