"""How sure accuracies are; `accuracy_interval` has its test beside `evaluate_export`, which shows it."""

from __future__ import annotations

import numpy as np
import pytest

from adaptune.training.significance import mcnemar_p_value


def test_only_samples_on_which_two_classifiers_differ_tell_them_apart() -> None:
    ours = np.array([True] * 10 + [False] * 2 + [True] * 300)
    theirs = np.array([False] * 10 + [True] * 2 + [True] * 300)
    assert mcnemar_p_value(ours, theirs) == pytest.approx(
        158 / 2**12
    )  # 2 · (C(12,0) + C(12,1) + C(12,2)) / 2^12
    assert mcnemar_p_value(theirs, ours) == mcnemar_p_value(ours, theirs)
    assert mcnemar_p_value(ours, ours) == 1
