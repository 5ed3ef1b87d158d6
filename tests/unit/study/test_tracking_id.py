from __future__ import annotations

import re
from pathlib import Path

from support.fake_search import make_search

from adaptune.study.storage import open_study
from adaptune.study.tracking_id import tracking_id


def test_a_search_keeps_its_identity_when_it_is_resumed(tmp_path: Path) -> None:
    spec = make_search()
    identity = tracking_id(open_study(spec, tmp_path / "journal"))
    assert re.fullmatch("[0-9a-f]{12}", identity)
    assert tracking_id(open_study(spec, tmp_path / "journal")) == identity
    assert tracking_id(open_study(spec, tmp_path / "other")) != identity
