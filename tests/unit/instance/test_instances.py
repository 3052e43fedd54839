# SPDX-License-Identifier: MIT
"""Role variables become instances, files and profiles."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from keyfleet.core.acl.model import ADMIN, digest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.instance.acl import rules_by_name
from keyfleet.core.instance.config import config_text, starter_digest
from keyfleet.core.instance.model import OPEN_FILES, Instance, from_variables, rules_of, with_password
from keyfleet.core.layout import Layout
from keyfleet.core.profile.values import client_address, profile_text, profile_values
from keyfleet.core.service.starters import unit_text

LAYOUT = Layout("/srv/x", "cache")


def variables(*instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return role variables as the filters get them."""
    return {"engine": "redis", "service_manager": "process", "root": "/srv/x", "instances": list(instances), **more}


def test_common_values_hold_unless_an_instance_says_otherwise() -> None:
    """Directives are merged by name, bind and password are replaced."""
    common = {"bind": ["::1"], "password": "common", "directives": {"maxmemory": "1gb", "hz": 20}}
    first, second = from_variables(variables({"name": "a"}, {"name": "b", "password": "own", "directives": {"hz": 50}}, **common))
    assert ("common", ("::1",), {"maxmemory": "1gb", "hz": 20}) == (first.password, first.bind, first.directives)
    assert ("own", {"maxmemory": "1gb", "hz": 50}) == (second.password, second.directives)


@pytest.mark.parametrize(
    ("bind", "public"),
    [(("127.0.0.1", "-::1"), False), (("127.1.2.3",), False), (("*",), True), (("192.0.2.1", "127.0.0.1"), True), (("-::*",), True)],
)
def test_public_means_reachable_from_elsewhere(bind: tuple[str, ...], public: bool) -> None:
    """Any address that is no loopback address is public, wildcards included."""
    assert public == Instance("a", bind=bind).is_public


def test_users_have_hashes_only() -> None:
    """The administrative user, those of the directive, those declared, and ``default`` with the instance's password; none as plain text."""
    declared = ({"name": "web", "passwords": ["correct horse"], "commands": ["get"]}, {"name": "default", "enabled": False})
    instance = Instance("a", password="pässword", directives={"user": ["app on #" + 64 * "0" + " ~app:* +@read"]}, users=declared)
    rules = rules_by_name(instance, ["secret of keyfleet"])
    everything = ["~*", "resetchannels", "&*", "+@all"]
    assert {
        ADMIN: ["on", f"#{digest('secret of keyfleet')}", *everything],
        "app": ["on", f"#{64 * '0'}", "~app:*", "+@read"],
        "web": ["on", f"#{digest('correct horse')}", "resetchannels", "-@all", "+get"],
        "default": ["off", "resetchannels", "-@all", f"#{digest('pässword')}"],
    } == rules
    assert {"default": ["on", "nopass", *everything]} == rules_by_name(Instance("a", password=""), [])
    assert "secret" == with_password(Instance("a"), "secret").password
    assert "" == with_password(Instance("a", password=""), "secret").password


@pytest.mark.parametrize("generated", [None, ""])
def test_missing_generated_password_never_opens_a_server(generated: str | None) -> None:
    """An instance without a password of its own stays without one, and has no users then."""
    with pytest.raises(ValueError, match="password of instance 'a' is not known yet"):
        rules_by_name(with_password(Instance("a"), generated), [])


def test_null_counts_as_not_given() -> None:
    """Options that are null, as a template may leave them, take the common value or the default."""
    options = {"name": "a", "port": None, "unix_socket": None, "bind": None, "password": None, "state": None}
    (instance,) = from_variables(variables(options, password="common-password", bind=["::1"]))
    assert Instance("a", password="common-password", bind=("::1",)) == instance


def test_users_are_written_as_the_server_divides_them() -> None:
    """The server and the module get the same words, however the inventory groups them."""
    instance = Instance("a", password="x", directives={"user": ["app  on  nopass", ["web", "on ~x", "nopass"]]})
    assert ["app on nopass", "web on ~x nopass"] == rules_of(instance)
    assert {"app": ["on", "nopass"], "web": ["on", "~x", "nopass"]}.items() <= rules_by_name(instance, []).items()


def test_limit_of_open_files_is_the_same_everywhere() -> None:
    """The unit that all instances share and the runner's specification agree, so that the check of maxclients holds for both."""
    assert f"\nLimitNOFILE={OPEN_FILES}\n" in unit_text("redis", "/usr/bin/redis-server", "redis", "redis")


def test_password_is_not_in_repr() -> None:
    """An instance can be printed."""
    assert "hunter2" not in repr(Instance("a", password="hunter2"))


def test_digest_of_the_starter_ignores_comments() -> None:
    """The configuration changes when the unit does, and not when only a comment of it does."""
    digests = [starter_digest(unit) for unit in ("A=1\n", "# c\nA=1\n", "A=2\n")]
    texts = [config_text(Instance("a", starter=digest), LAYOUT, "systemd") for digest in digests]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("bind", "public_address", "address"),
    [
        (["127.0.0.1", "-::1"], "db.example.org", "127.0.0.1"),
        (["*"], "db.example.org", "db.example.org"),
        (["*"], None, "127.0.0.1"),
        (["::*"], None, "::1"),
        (["127.0.0.1", "192.0.2.1"], "db.example.org", "192.0.2.1"),
        (["127.0.0.1", "192.0.2.1"], None, "127.0.0.1"),
        (["192.0.2.1"], None, "192.0.2.1"),
        (["-::1"], None, "::1"),
    ],
)
def test_address_for_clients(bind: list[str], public_address: str, address: str) -> None:
    """Clients elsewhere get an address that they can reach, those on the host itself one that answers there."""
    assert address == client_address(bind, public_address)


@pytest.mark.parametrize("password", ["plain", 'it\'s "quoted" \\back $HOME `x`', "ünïcode #1", ""])
def test_profile_is_read_back_as_settings(password: str) -> None:
    """Whatever the password is, the shell and from_env read the same one."""
    text = profile_text("a", profile_values({"host": "127.0.0.1", "port": 7000, "password": password}, "app:"))
    environ = dict(word.split("=", 1) for line in text.splitlines() for word in shlex.split(line, comments=True))
    settings = Settings.from_env(environ)
    assert ("127.0.0.1", 7000, password or None, "app:") == (settings.host, settings.port, settings.password, settings.key_prefix)


def test_profile_of_a_socket() -> None:
    """An instance without a port is reached by its socket."""
    text = profile_text("a", profile_values({"unix_socket": "/run/keyfleet/a/server.sock", "password": "p", "port": 0}))
    environ = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert "/run/keyfleet/a/server.sock" == Settings.from_env(environ).unix_socket
