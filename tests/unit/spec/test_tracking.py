from __future__ import annotations

import pytest
from pydantic import ValidationError
from support.fake_search import make_search

from adaptune.spec.serialize import fingerprint
from adaptune.spec.tracking import TrackingSpec


def test_nothing_is_tracked_by_default() -> None:
    assert TrackingSpec() == TrackingSpec(mlflow=None, wandb=None, notify=None)


@pytest.mark.parametrize(
    "address", ["https://user:hunter2@host/mlflow", "https://host/?token=hunter2"]
)
def test_an_address_with_a_secret_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="MLFLOW_TRACKING_TOKEN"):
        TrackingSpec(mlflow=address)


@pytest.mark.parametrize("name", ["https://chat/hooks/hunter2", "A B", "", "1A"])
def test_a_webhook_is_given_by_the_name_of_a_variable(name: str) -> None:
    with pytest.raises(ValidationError):
        TrackingSpec(notify=name)


def test_a_resumed_search_may_be_tracked_elsewhere() -> None:
    tracked = make_search(tracking={"mlflow": "sqlite:///mlflow.db", "notify": "WEBHOOK"})
    assert fingerprint(tracked) == fingerprint(make_search())
