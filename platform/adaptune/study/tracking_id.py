"""The identity of a search in other tools."""

from __future__ import annotations

import secrets
from typing import cast

from adaptune.study.study import SearchStudy

_KEY = "tracking_id"


def tracking_id(study: SearchStudy) -> str:
    """Return the identity of a search, 12 hexadecimal digits; a resumed search keeps it."""
    stored = study.optuna_study.user_attrs.get(_KEY)
    if stored is None:
        stored = secrets.token_hex(6)
        study.optuna_study.set_user_attr(_KEY, stored)
    return cast(str, stored)
