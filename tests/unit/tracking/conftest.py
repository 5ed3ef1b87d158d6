from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.webhook import Webhook, open_webhook


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with open_webhook() as webhook:
        yield webhook
