from __future__ import annotations

import pytest

from adaptune.spec.addresses import has_secret, mask_secrets

SECRET = "hunter2/+x"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://bob:{SECRET}@host:5432/db",
        f"postgresql+psycopg://bob:{SECRET}@host/db?connect_timeout=3",
        f"postgresql://host/db?user=bob&password={SECRET}",
        f"postgresql://host/db?sslpassword={SECRET}",
        f"s3://KEY:{SECRET}@bucket/results?region=eu",
        f"s3://bucket/results?access_key=a&secret_key={SECRET}",
        f"gs://bucket/results?token={SECRET}",
    ],
)
def test_a_secret_is_found_and_masked(address: str) -> None:
    assert has_secret(address)
    masked = mask_secrets(f"cannot use {address}: no answer")
    assert SECRET not in masked
    assert masked.startswith("cannot use ")
    assert masked.endswith("no answer")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://bob@host:5432/db",
        "postgresql:///db?host=/var/run/postgresql",
        "sqlite:////data/studies.db",
        "s3://bucket/results?endpoint_override=127.0.0.1:9000&scheme=http",
        "gs://anonymous@bucket/results",
        "imagefolder:/data/images",
    ],
)
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert not has_secret(address)
    assert mask_secrets(address) == address
