"""The running time of a search over all its sessions."""

from __future__ import annotations

import time

from adaptune.study.study import SearchStudy

_SESSION_KEY = "session:"


class WallClock:
    """Seconds of all sessions of a search, kept in the study while this session runs.

    Args:
        start: `time.perf_counter()` at the start of this session.
    """

    def __init__(self, study: SearchStudy, start: float) -> None:
        self._study = study.optuna_study
        self._start = start
        self._key = f"{_SESSION_KEY}{time.time():.3f}"
        self._earlier_s = 0.0
        for key, seconds in self._study.user_attrs.items():
            if key.startswith(_SESSION_KEY):
                self._earlier_s += seconds

    def update(self) -> float:
        """Store the seconds of this session so far; return those of all sessions."""
        session_s = time.perf_counter() - self._start
        self._study.set_user_attr(self._key, session_s)
        return self._earlier_s + session_s
