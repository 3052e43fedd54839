# SPDX-License-Identifier: MIT
"""Role variables become instances, files and profiles."""

from __future__ import annotations

import hashlib
import shlex
from typing import Any

import pytest
from keyfleet.core.instances import Instance, acl_text, config_text, from_variables, problems, with_password
from keyfleet.core.layout import Layout
from keyfleet.core.profile import client_address, profile_text
from keyfleet.core.settings import Settings

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


def test_problems_are_found_all_at_once() -> None:
    """Several wrong values give one message each, with the variable in it."""
    found = problems(variables({"name": "a", "port": 80}, {"name": "B"}, {"name": "c", "state": "gone"}))
    assert 3 == len(found)
    assert [True, True, True] == [text.startswith("redis_server_instances[") for text in found]


def test_absent_instances_need_no_port_of_their_own() -> None:
    """An instance that goes away may have a port that another one takes."""
    assert [] == problems(variables({"name": "a", "state": "absent"}, {"name": "b"}))


def test_acl_file_holds_hashes_only() -> None:
    """The password is there as its SHA-256, users of the inventory follow, and no password is said as such."""
    instance = Instance("a", password="pässword", directives={"user": ["app on #" + 64 * "0" + " ~app:* +@read"]})
    digest = hashlib.sha256("pässword".encode()).hexdigest()
    assert f"user default on #{digest} ~* &* +@all\nuser app on #{64 * '0'} ~app:* +@read\n" == acl_text(instance)
    assert "user default on nopass ~* &* +@all\n" == acl_text(Instance("a", password=""))
    with pytest.raises(ValueError, match="not known yet"):
        acl_text(Instance("a"))
    assert "secret" == with_password(Instance("a"), "secret").password
    assert "" == with_password(Instance("a", password=""), "secret").password


def test_password_is_not_in_repr() -> None:
    """An instance can be printed."""
    assert "hunter2" not in repr(Instance("a", password="hunter2"))


def test_digest_of_the_starter_ignores_comments() -> None:
    """The configuration changes when the unit does, and not when only a comment of it does."""
    texts = [config_text(Instance("a"), LAYOUT, "systemd", header="# h", starter=unit) for unit in ("A=1\n", "# c\nA=1\n", "A=2\n")]
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
    text = profile_text({"name": "a", "host": "127.0.0.1", "port": 7000, "password": password}, "app:")
    environ = dict(word.split("=", 1) for line in text.splitlines() for word in shlex.split(line, comments=True))
    settings = Settings.from_env(environ)
    assert ("127.0.0.1", 7000, password or None, "app:") == (settings.host, settings.port, settings.password, settings.key_prefix)


def test_profile_of_a_socket() -> None:
    """An instance without a port is reached by its socket."""
    text = profile_text({"name": "a", "unix_socket": "/run/keyfleet/a/server.sock", "password": "p", "port": 0})
    environ = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert "/run/keyfleet/a/server.sock" == Settings.from_env(environ).unix_socket
