# SPDX-License-Identifier: MIT
"""URLs: what they say, what is refused, and that no error shows a part of one."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import SettingsError

CREDENTIALS: dict[str, Any] = {"username": "u", "password": "p,"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://a", Settings(host="a")),
        ("REDIS://a", Settings(host="a")),
        ("redis://a:6380/2", Settings(host="a", port=6380, db=2)),
        ("redis://a/", Settings(host="a")),
        ("redis://a?db=2", Settings(host="a", db=2)),
        ("redis://:p%40ss%2Fw%3Ard@a", Settings(host="a", password="p@ss/w:rd")),
        ("redis://us%40er:p@a:1/0", Settings(host="a", port=1, username="us@er", password="p")),
        ("redis://:a:b@h", Settings(host="h", password="a:b")),
        ("rediss://[::1]:6380/1", Settings(host="::1", port=6380, db=1, tls=True)),
        ("redis://[2001:db8::1]", Settings(host="2001:db8::1")),
        ("unix:///run/redis.sock", Settings(unix_socket="/run/redis.sock")),
        ("unix:///run/a%20b.sock?db=2", Settings(unix_socket="/run/a b.sock", db=2)),
        ("unix://u:p@/run/redis.sock", Settings(unix_socket="/run/redis.sock", username="u", password="p")),
        ("UNIX:///run/a@b.sock", Settings(unix_socket="/run/a@b.sock")),
        ("valkey://a:6380/2", Settings(host="a", port=6380, db=2)),
        ("valkeys://a", Settings(host="a", tls=True)),
        ("redis+cluster://a", Settings(cluster_nodes=(("a", 6379),))),
        ("redis+cluster://u:p%2C@a:7000,b,[::1]:7001/0", Settings(cluster_nodes=(("a", 7000), ("b", 6379), ("::1", 7001)), **CREDENTIALS)),
        ("rediss+cluster://a:7000/", Settings(cluster_nodes=(("a", 7000),), tls=True)),
        ("valkey+cluster://a,", Settings(cluster_nodes=(("a", 6379),))),
        ("valkeys+cluster://a?db=0", Settings(cluster_nodes=(("a", 6379),), tls=True)),
        ("redis+sentinel://a/main", Settings(sentinels=(("a", 26379),), sentinel_service="main")),
        (
            "redis+sentinel://u:p%2C@a:5000,[::1]/my%20main/3",
            Settings(sentinels=(("a", 5000), ("::1", 26379)), sentinel_service="my main", db=3, **CREDENTIALS),
        ),
        ("rediss+sentinel://a,b/main?db=1", Settings(sentinels=(("a", 26379), ("b", 26379)), sentinel_service="main", db=1, tls=True)),
        ("valkey+sentinel://a/0", Settings(sentinels=(("a", 26379),), sentinel_service="0")),
        ("valkeys+sentinel://a/main/0", Settings(sentinels=(("a", 26379),), sentinel_service="main", tls=True)),
    ],
)
def test_a_url_is_read(url: str, expected: Settings) -> None:
    """Parts are percent-decoded, IPv6 hosts are in brackets."""
    assert expected == Settings.from_url(url)


def test_overrides_win() -> None:
    """What is passed by name counts more than the URL."""
    assert Settings(host="a", db=5, key_prefix="p:") == Settings.from_url("redis://a/2", db=5, key_prefix="p:")


def test_an_override_may_bring_the_password() -> None:
    """A URL with a user name alone is completed by it."""
    assert Settings(host="a", username="u", password="p") == Settings.from_url("redis://u@a", password="p")


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://a", "url must begin with one of redis://, rediss://, valkey://, valkeys://, unix://; all but the last may have +cluster"),
        ("redis+://a", "url must begin with one of"),
        ("unix+cluster:///a", "url must begin with one of"),
        ("redis+sentinel", "url must begin with one of"),
        ("a:6379", "url must begin with one of"),
        ("redis://", "url must begin with one of"),
        (f"redis://:{SECRET}@", "url has no host"),
        (f"redis://{SECRET}@a", "url has a user name and no password"),
        (f"redis://:{SECRET}/x@a", "url cannot be read: special characters"),
        (f"redis://:{SECRET}?x@a", "url cannot be read: special characters"),
        (f"redis://:{SECRET}#x@a", "url cannot be read: special characters"),
        (f"redis://:{SECRET}@x@a", "url cannot be read: special characters"),
        (f"redis://:[{SECRET}@a", "url cannot be read: special characters"),
        (f"redis://:{SECRET}@a:99999", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@a:port", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@[::1", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@[{SECRET}]", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@a#{SECRET}", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@a/{SECRET}", "url states no usable database"),
        (f"redis://:{SECRET}@a/1?db=2", "url states no usable database"),
        (f"redis://:{SECRET}@a?{SECRET}=1", "url has an option other than ?db=NUMBER"),
        (f"redis://a:{SECRET}", "url cannot be read as scheme://"),
        (f"redis://:{SECRET}@a:0", "url names port 0; allowed are 1 to 65535"),
        (f"redis://:{SECRET}@a,b", "url names several hosts, which only redis+cluster:// and redis+sentinel:// do"),
        (f"redis+cluster://:{SECRET}@", "url has no host"),
        (f"redis+cluster://:{SECRET}@a,:7000", "url has no host"),
        (f"redis+cluster://:{SECRET}@a,b:port", "url cannot be read as scheme://"),
        (f"redis+cluster://:{SECRET}@a/1", "url names a database; a cluster has only 0"),
        (f"redis+cluster://{SECRET}@a", "url has a user name and no password"),
        (f"redis+sentinel://:{SECRET}@a:0/s", "url names port 0"),
        (f"redis+sentinel://:{SECRET}@a/s/{SECRET}", "url states no usable database"),
        (f"redis+sentinel://:{SECRET}@a", "url and sentinel_service belong together; give both"),
        (f"redis://{SECRET} x", "url cannot be read as scheme://"),
        (f"redis://{SECRET}%20x", "url is not usable; allowed: a host name"),
        (f"redis+cluster://{SECRET}%20x", "url is not usable; allowed: a host name"),
        (f"unix://{SECRET}", "url needs an absolute path"),
        (f"redis://:{SECRET}\u2100@a", None),
        (f"redis://{SECRET}\u2100", "url cannot be read as scheme://"),
    ],
)
def test_a_bad_url_is_refused_without_showing_it(url: str, problem: str | None) -> None:
    """Whatever is wrong, a part of the URL may be the password: neither the text nor the chain of errors shows it."""
    if problem is None:
        assert SECRET in str(Settings.from_url(url).password)
        return
    with pytest.raises(SettingsError) as caught:
        Settings.from_url(url)
    assert caught.value.problems[0].startswith(problem)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_variable_is_named() -> None:
    """From the environment, the problem is REDIS_URL's."""
    with pytest.raises(SettingsError, match=r"^REDIS_URL must begin with"):
        Settings.from_env({"REDIS_URL": "http://a"})
