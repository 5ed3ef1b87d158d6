"""How sure accuracies are; `accuracy_interval` has its test beside `evaluate_export`, which shows it."""

from __future__ import annotations

import numpy as np
import pytest

from adaptune.training.interval import paired_p


def test_only_samples_on_which_two_classifiers_differ_tell_them_apart() -> None:
    ours = np.array([True] * 10 + [False] * 2 + [True] * 300)
    theirs = np.array([False] * 10 + [True] * 2 + [True] * 300)
    assert paired_p(ours, theirs) == pytest.approx(158 / 2**12)  # 2 · (C(12,0) + C(12,1) + C(12,2)) / 2^12
    assert paired_p(theirs, ours) == paired_p(ours, theirs)
    assert paired_p(ours, ours) == 1
