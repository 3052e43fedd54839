# SPDX-License-Identifier: MIT
"""Every form of a profile, read back by a consumer of it: what comes out is what went in, whatever the password."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from keyfleet.core.profile.forms import CA_KEY, ENDINGS, Profile, form_files
from keyfleet.core.profile.names import Owner, stem_of
from keyfleet.core.profile.values import PASSWORD, profile_text, profile_values
from support.profiles import READERS

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis-AbCdEf"
PASSWORDS = {
    "plain": "correct-horse-battery",
    "quotes": """it's "quoted" and 'again'""",
    "shell": "$HOME $(id) `id` $$ \\$x a\\\\b",
    "comment": "a #b ; c # d",
    "spaces": "  leading and trailing  ",
    "yaml": "- {a: [b, *c]} !d &e %f: |g >h ?",
    "letters": "pässwörd \u2028 \ufeff 𝄞 \x85 né",
    "equals": "=a=b==",
}


def profile(password: str, stem: str = "redis") -> Profile:
    """Return a profile with this password."""
    endpoint = {"name": "default", "host": "2001:db8::1", "port": 6380, "username": "reader", "password": password}
    return Profile(stem, "for tests", profile_values(endpoint, "shop: "), ARN)


def test_every_form_has_a_reader() -> None:
    """A new form needs a consumer that reads it back."""
    assert {"shell", *ENDINGS} == set(READERS)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("form", READERS)
def test_consumer_reads_back_what_was_written(tmp_path: Path, form: str, password: str) -> None:
    """All variables, those with hard characters too, arrive as they were."""
    wanted = profile(PASSWORDS[password])
    files = {".env": profile_text(wanted.title, wanted.values)}
    if form in ENDINGS:
        files = {file.ending: file.content or "" for file in form_files(form, wanted)}
    for ending, content in files.items():
        (tmp_path / f"redis{ending}").write_text(content, encoding="utf-8")
    assert wanted.values == READERS[form](tmp_path / "redis", {ARN: wanted.values[PASSWORD]})


@pytest.mark.parametrize("form", ENDINGS)
def test_secret_is_where_it_is_said_to_be(form: str) -> None:
    """A file that is marked as one without a secret holds neither the password nor its base64."""
    wanted = profile("correct-horse-battery")
    encoded = base64.b64encode(wanted.values[PASSWORD].encode()).decode()
    for file in form_files(form, wanted):
        held = any(secret in (file.content or "") for secret in (wanted.values[PASSWORD], encoded))
        assert file.secret == held, file.ending


def test_server_without_a_password_has_no_secret() -> None:
    """No empty Secret, and no ARN that leads nowhere."""
    wanted = profile("")
    assert [True, False] == [file.content is not None for file in form_files("kubernetes", wanted)]
    (fragment,) = form_files("ecs", wanted)
    assert [] == json.loads(fragment.content or "")["secrets"]


def test_names_never_collide() -> None:
    """Files and objects of instances, users and hosts with similar names all differ, and objects have names that Kubernetes takes."""
    combinations: list[tuple[str, dict[str, Any]]] = [
        (instance, {"user": user, "host": host})
        for instance in ("default", "a", "a-b", "a_b", "b")
        for user in ("", "b", "B", "a-b")
        for host in ("", "b", "b.example.org", "b-example-org")
    ]
    stems = [stem_of("redis", Owner(instance, **names)) for instance, names in combinations]
    objects = [profile("x", stem).object_name for stem in stems]
    assert len(combinations) == len(set(stems)) == len(set(objects))
    for name in objects:
        one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
        assert len(name) <= 63
        assert name == name.lower().strip("-")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ({"cluster_nodes": ["a:1", "b:2"]}, "REDIS_CLUSTER_NODES"),
        ({"sentinels": ["a:1", "b:2"], "service": "orders"}, "REDIS_SENTINELS"),
        ({}, "REDIS_HOST"),
    ],
)
def test_every_topology_has_its_tls(place: dict[str, Any], name: str) -> None:
    """With the file of the CA, and the name in the certificate where it is another one."""
    endpoint = {
        "name": "default",
        "host": "a",
        "port": 1,
        "tls": "only",
        "ca_file": "/ca.pem",
        "tls_server_name": "cache.example.org",
        **place,
    }
    values = profile_values(endpoint)
    assert name in values
    assert {
        "REDIS_TLS_ENABLED": "true",
        "REDIS_TLS_CA_FILE": "/ca.pem",
        "REDIS_TLS_SERVER_NAME": "cache.example.org",
    }.items() <= values.items()
    assert not [one for one in profile_values({**endpoint, "tls": "off"}) if one.startswith("REDIS_TLS")]


def test_kubernetes_has_the_certificates_that_are_trusted() -> None:
    """Beside the variables, for a volume; and none without TLS."""
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with_ca, without = (form_files("kubernetes", Profile("redis", "for tests", {"REDIS_HOST": "a"}, ca=ca))[0].content for ca in (pem, ""))
    assert {"REDIS_HOST": "a", CA_KEY: pem} == yaml.safe_load(with_ca or "")["data"]
    assert {"REDIS_HOST": "a"} == yaml.safe_load(without or "")["data"]
    kubernetes_validate.validate(yaml.safe_load(with_ca or ""), kubernetes_validate.latest_version(), strict=True)
