# SPDX-License-Identifier: MIT
"""Connection options of the modules: options over environment, one documentation, errors with fields and without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.keyfleet.redis.plugins.doc_fragments.connection import ModuleDocFragment
from ansible_collections.keyfleet.redis.plugins.module_utils.connection_options import (
    CONNECTION_CONSTRAINTS,
    FIELD_OF_OPTION,
    connection_argument_spec,
    fail,
    settings_from_params,
)
from ansible_collections.keyfleet.redis.plugins.module_utils.keyfleet.errors import SettingsError, UnreachableError

PASSWORD = "correct-horse-battery"


def options(**given: Any) -> dict[str, Any]:
    """Return parameters as a module gets them: every option, None where nothing was given."""
    return {**dict.fromkeys(connection_argument_spec()), **given}


def test_nothing_said_is_the_local_server() -> None:
    """Neither options nor environment: 127.0.0.1:6379."""
    assert "127.0.0.1:6379" == settings_from_params(options(), {}).address


def test_every_option_reaches_its_field() -> None:
    """Each option sets the field it stands for."""
    single = settings_from_params(
        options(
            login_host="cache.example.com",
            login_port=7000,
            login_user="app",
            login_password=PASSWORD,
            db=0,
            tls=True,
            ca_certs="/ca.pem",
            validate_certs=False,
            tls_server_name="tls.example",
            client_cert_file="/c.pem",
            client_key_file="/k.pem",
            timeout_seconds=1.5,
        ),
        {},
    )
    assert ("cache.example.com", 7000, "app", PASSWORD, 0) == (single.host, single.port, single.username, single.password, single.db)
    assert (True, "/ca.pem", False, "tls.example", "/c.pem", "/k.pem", 1.5) == (
        single.tls,
        single.tls_ca_file,
        single.tls_verify,
        single.tls_server_name,
        single.tls_cert_file,
        single.tls_key_file,
        single.timeout_seconds,
    )
    assert "/run/r.sock" == settings_from_params(options(login_unix_socket="/run/r.sock"), {}).unix_socket
    assert (("a", 1), ("::1", 2)) == settings_from_params(options(startup_nodes=["a:1", "[::1]:2"]), {}).cluster_nodes
    sentinel = settings_from_params(options(sentinels=["a:1"], service_name="main", login_password=PASSWORD), {})
    assert ((("a", 1),), "main", PASSWORD) == (sentinel.sentinels, sentinel.sentinel_service, sentinel.password)
    assert sentinel == settings_from_params(options(url=f"redis+sentinel://:{PASSWORD}@a:1/main"), {})
    login = {"sentinel_user": "asker", "sentinel_password": "of-the-sentinels"}
    asked = settings_from_params(options(sentinels=["a:1"], service_name="main", **login), {})
    assert ("asker", "of-the-sentinels", None) == (asked.sentinel_username, asked.sentinel_password, asked.password)


@pytest.mark.parametrize(
    ("given", "environ", "seconds"),
    [
        ({}, {}, 5.0),
        ({"login_host": "a"}, {}, 5.0),
        ({"url": "redis://a"}, {}, 5.0),
        ({"login_host": "a", "timeout_seconds": 2.0}, {}, 2.0),
        ({"url": "redis://a", "timeout_seconds": 2.0}, {}, 2.0),
        ({"timeout_seconds": 2.0}, {"REDIS_TIMEOUT_SECONDS": "7"}, 2.0),
        ({}, {"REDIS_TIMEOUT_SECONDS": "2"}, 2.0),
        ({}, {"REDIS_HOST": "a", "REDIS_TIMEOUT_SECONDS": " "}, 5.0),
        ({"login_host": "a"}, {"REDIS_TIMEOUT_SECONDS": "7"}, 5.0),
    ],
)
def test_a_module_waits_five_seconds_by_default(given: dict[str, Any], environ: dict[str, str], seconds: float) -> None:
    """An application would wait less; what the user says wins, also where it is the application's default."""
    assert seconds == settings_from_params(options(**given), environ).timeout_seconds


def test_url_and_password_may_be_apart() -> None:
    """A URL without a secret can be kept in plain sight."""
    settings = settings_from_params(options(url="rediss://app@cache.example.com/0", login_password=PASSWORD, timeout_seconds=2.0), {})
    assert ("app", PASSWORD, True, 2.0) == (settings.username, settings.password, settings.tls, settings.timeout_seconds)


ENVIRONMENT = {"REDIS_URL": f"redis://app:{PASSWORD}@env.example.com:7000/3", "REDIS_KEY_PREFIX": "env:"}


def test_environment_is_used_when_no_option_names_a_server() -> None:
    """The library's variables, prefix included; other options replace single variables."""
    settings = settings_from_params(options(), ENVIRONMENT)
    assert ("env.example.com:7000", "app", PASSWORD, 3) == (settings.address, settings.username, settings.password, settings.db)
    assert "env:" == settings.key_prefix
    changed = settings_from_params(options(db=0, login_user="ops", tls=False), ENVIRONMENT)
    assert ("env.example.com:7000", "ops", PASSWORD, 0) == (changed.address, changed.username, changed.password, changed.db)


@pytest.mark.parametrize(
    "address",
    [
        {"login_host": "127.0.0.1"},
        {"login_port": 6379},
        {"url": "redis://127.0.0.1"},
        {"login_unix_socket": "/run/r.sock"},
        {"startup_nodes": ["127.0.0.1:6379"]},
        {"sentinels": ["127.0.0.1:26379"], "service_name": "main"},
    ],
)
def test_an_option_that_names_a_server_sets_the_environment_aside(address: dict[str, Any]) -> None:
    """A password meant for one server is never sent to another."""
    settings = settings_from_params(options(**address), ENVIRONMENT)
    assert (None, None, 0, "") == (settings.username, settings.password, settings.db, settings.key_prefix)


def test_environment_without_an_address_means_the_local_server() -> None:
    """A password alone in the environment goes to 127.0.0.1, as the documentation says."""
    settings = settings_from_params(options(), {"REDIS_PASSWORD": PASSWORD, "REDIS_PORT": "7000"})
    assert ("127.0.0.1:7000", PASSWORD) == (settings.address, settings.password)


def test_empty_options_count_as_not_given() -> None:
    """Templates often leave an empty text; it must not become an address."""
    settings = settings_from_params(options(url="", login_host="", startup_nodes=[], login_password=""), ENVIRONMENT)
    assert "env.example.com:7000" == settings.address


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"login_port": 70000}, "login_port is 70000; allowed are 1 to 65535"),
        ({"login_host": "a", "ca_certs": "/ca.pem"}, "ca_certs is set and TLS is off; turn tls on"),
        ({"login_unix_socket": "/s", "tls": True}, "login_unix_socket and tls exclude each other"),
        ({"startup_nodes": ["a:1"], "db": 1}, "db is 1; with startup_nodes only 0 is allowed"),
        ({"startup_nodes": ["a:b:c"]}, "startup_nodes is .* allowed: a list of host:port"),
        ({"timeout_seconds": -1.0}, "timeout_seconds is -1"),
        ({"service_name": "main"}, "sentinels and service_name belong together"),
    ],
)
def test_problems_are_named_by_their_option(given: dict[str, Any], says: str) -> None:
    """The error has the option's name, the value found and the values allowed."""
    with pytest.raises(SettingsError, match=says):
        settings_from_params(options(**given), {})


def test_problem_beside_the_environment_is_named_by_its_option() -> None:
    """An option that does not fit the environment is named as the option it is."""
    with pytest.raises(SettingsError, match="ca_certs is set and TLS is off"):
        settings_from_params(options(ca_certs="/ca.pem"), {"REDIS_HOST": "a"})


def test_a_broken_url_is_not_quoted() -> None:
    """The URL may hold a password."""
    with pytest.raises(SettingsError) as caught:
        settings_from_params(options(url=f"redis://:{PASSWORD}@host:port"), {})
    assert PASSWORD not in str(caught.value)


def test_documentation_and_spec_have_the_same_options() -> None:
    """The doc fragment describes each option of the spec with its type; secrets are marked."""
    parts = (ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.CREDENTIALS)
    documented = {name: option for part in parts for name, option in yaml.safe_load(part)["options"].items()}
    spec = connection_argument_spec()
    assert {name: (option["type"], option.get("elements")) for name, option in documented.items()} == {
        name: (option["type"], option.get("elements")) for name, option in spec.items()
    }
    assert {"url", "login_password", "sentinel_password"} == {name for name, option in spec.items() if option.get("no_log")}
    assert {*FIELD_OF_OPTION, "url"} == set(spec)


@pytest.mark.parametrize(
    "given",
    [
        {"url": "redis://a", "login_host": "a"},
        {"url": "redis://a", "login_port": 1},
        {"login_host": "a", "login_unix_socket": "/s"},
        {"startup_nodes": ["a:1"], "sentinels": ["a:1"], "service_name": "main"},
        {"sentinels": ["a:1"]},
        {"client_key_file": "/k"},
    ],
)
def test_options_that_contradict_each_other_are_refused(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Two addresses, or half of a pair."""
    with patch_module_args(given), pytest.raises(SystemExit):
        AnsibleModule(argument_spec=connection_argument_spec(), **CONNECTION_CONSTRAINTS)
    assert json.loads(capsys.readouterr().out)["failed"]


def test_failures_carry_class_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """A playbook can distinguish failures without parsing the text."""
    with patch_module_args({}), pytest.raises(SystemExit):
        fail(AnsibleModule(argument_spec=connection_argument_spec()), UnreachableError("a:6379", "refused"), changed=True)
    result = json.loads(capsys.readouterr().out)
    result.pop("invocation")
    assert {
        "failed": True,
        "changed": True,
        "msg": "cannot reach a:6379: refused",
        "error": "UnreachableError",
        "address": "a:6379",
        "reason": "refused",
    } == {name: value for name, value in result.items() if name != "exception"}
