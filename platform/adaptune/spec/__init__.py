"""The schema of a search space file, and how such files are read and written."""

from adaptune.spec.load import load_spec
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.spec.serialize import dump_spec, fingerprint

__all__ = ["SearchSpec", "TrialSpec", "dump_spec", "fingerprint", "load_spec"]
