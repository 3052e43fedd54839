# SPDX-License-Identifier: MIT
"""The profile of a replication that Sentinels watch names them, and both passwords stay secrets in every form."""

from __future__ import annotations

import json

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.profile.forms import ENDINGS, Profile, form_files
from keyfleet.core.profile.values import profile_values

ENDPOINT = {
    "name": "default",
    "host": "10.0.0.1",
    "port": 6379,
    "password": "of the servers",
    "sentinels": ["10.0.0.1:26379", "10.0.0.2:26379"],
    "service": "orders",
    "sentinel_password": "of the Sentinels",
}


def test_the_client_reads_it() -> None:
    """The address of a server is not in it, since a failover changes which one is right."""
    settings = Settings.from_env(profile_values(ENDPOINT))
    assert (("10.0.0.1", 26379), ("10.0.0.2", 26379)) == settings.sentinels
    assert ("orders", "of the Sentinels", "of the servers") == (
        settings.sentinel_service,
        settings.sentinel_password,
        settings.password,
    )


@pytest.mark.parametrize("form", ENDINGS)
def test_passwords_are_secrets(form: str) -> None:
    """No file that others may read has one of them."""
    profile = Profile("orders", "x", profile_values(ENDPOINT), "arn:aws:secretsmanager:eu-central-1:1:secret:x")
    public = [file.content or "" for file in form_files(form, profile) if not file.secret]
    assert [] == [text for text in public if "of the S" in text or "of the s" in text]
    assert any("REDIS_SENTINELS" in (file.content or "") for file in form_files(form, profile))


def test_one_secret_in_json_has_both_on_ecs() -> None:
    """A container gets each of them by its name in there; without Sentinels the secret is the password itself."""
    arn = "arn:aws:secretsmanager:eu-central-1:1:secret:x"
    found = json.loads(str(form_files("ecs", Profile("orders", "x", profile_values(ENDPOINT), arn))[0].content))["secrets"]
    assert {f"{arn}:REDIS_PASSWORD::", f"{arn}:REDIS_SENTINEL_PASSWORD::"} == {one["valueFrom"] for one in found}
    plain = profile_values({**ENDPOINT, "sentinels": [], "sentinel_password": ""})
    alone = json.loads(str(form_files("ecs", Profile("orders", "x", plain, arn))[0].content))["secrets"]
    assert [{"name": "REDIS_PASSWORD", "valueFrom": arn}] == alone
