# SPDX-License-Identifier: MIT
"""Tokens for IAM: their exact shape, and a signature that is computed again as the documentation of Signature Version 4 says."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import parse_qsl, quote

import botocore.session
import pytest
from ansible_collections.keyfleet.redis.plugins.module_utils.keyfleet.errors import CredentialsError, SettingsError
from ansible_collections.keyfleet.redis.plugins.module_utils.keyfleet.managed.iam import make_token

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1"
SHAPE = (
    r"{host}/\?Action=connect&User={user}{more}&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    r"&X-Amz-Credential=AKIDEXAMPLE%2F(\d{{8}})%2Fus-east-1%2F{service}%2Faws4_request&X-Amz-Date=(\d{{8}}T\d{{6}}Z)"
    r"&X-Amz-Expires=900&X-Amz-SignedHeaders=host{session}&X-Amz-Signature=([0-9a-f]{{64}})"
)


def session(token: str | None = None, keys: bool = True) -> Any:
    """Return a session with fixed keys."""
    made = botocore.session.Session()
    if keys:
        made.set_credentials(KEY, SECRET, token)
    return made


def signature(token: str, service: str) -> str:
    """Return the signature that the service computes for a token: Signature Version 4, in the query, over the header host alone."""
    host, query = token.split("/?", 1)
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "X-Amz-Signature"]
    moment = dict(pairs)["X-Amz-Date"]
    canonical_query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(pairs))
    canonical = f"GET\n/\n{canonical_query}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    scope = f"{moment[:8]}/{REGION}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("options", "host", "more", "service", "sts"),
    [
        ({}, "my-rg", "", "elasticache", None),
        ({"serverless": True}, "my-rg", "&ResourceType=ServerlessCache", "elasticache", None),
        ({"service": "memorydb"}, "my-rg", "", "memorydb", None),
        ({}, "my-rg", "", "elasticache", "sts/token+="),
    ],
)
def test_shape_and_signature(options: dict[str, Any], host: str, more: str, service: str, sts: str | None) -> None:
    """The name in lower case and without a scheme, the documented parameters, and a signature over all of them."""
    token = make_token("My-RG", "iam-user", region=REGION, session=session(sts), **options)
    of_session = "" if sts is None else "&X-Amz-Security-Token=" + quote(sts, safe="")
    shape = SHAPE.format(host=host, user="iam-user", more=more, service=service, session=re.escape(of_session))
    found = re.fullmatch(shape, token)
    assert found is not None, token
    assert found[1] == found[2][:8]
    assert signature(token, service) == found[3]


def test_another_user_has_another_signature() -> None:
    """So a token is good for one user of one cache."""
    one = make_token("my-rg", "a", region=REGION, session=session())
    assert signature(one, "elasticache") != signature(one.replace("User=a&", "User=b&"), "elasticache")


@pytest.mark.parametrize(
    ("cache", "user", "options", "match"),
    [
        ("master.my-rg.abc123.use1.cache.amazonaws.com", "a", {"region": REGION}, "not an endpoint"),
        ("my-rg", "", {"region": REGION}, "the user is empty"),
        ("my-rg", "a", {"region": REGION, "service": "redis"}, "allowed are elasticache and memorydb"),
        ("my-rg", "a", {"region": REGION, "service": "memorydb", "serverless": True}, "no serverless"),
        ("my-rg", "a", {}, "no region is known"),
    ],
)
def test_what_is_refused(cache: str, user: str, options: dict[str, Any], match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is signed."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SettingsError, match=match):
        make_token(cache, user, session=session(), **options)


def test_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the cache."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    with pytest.raises(CredentialsError, match="no AWS credentials"):
        make_token("my-rg", "a", region=REGION, session=session(keys=False))
