# SPDX-License-Identifier: MIT
"""Settings from environment and mapping: what is read, what is refused, and that all problems are reported together."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from keyfleet import AsyncClient, Client
from keyfleet.core.connect.environment import VARIABLES
from keyfleet.core.connect.settings import Settings, SettingsWarning
from keyfleet.core.errors import SettingsError


def problems_of(environ: dict[str, str]) -> tuple[str, ...]:
    """Return what from_env has against *environ*."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return caught.value.problems


def test_nothing_set_begins_with_the_known_words_and_lists_the_names() -> None:
    """Scripts match the beginning; people need the rest."""
    assert ("REDIS_URL is not defined; set one of REDIS_URL, REDIS_HOST, REDIS_CLUSTER_NODES, REDIS_SENTINELS",) == problems_of({})


def test_nothing_set_comes_before_other_problems() -> None:
    """The first problem names the cause of most."""
    first, second = problems_of({"REDIS_PORT": "x"})
    assert first.startswith("REDIS_URL is not defined")
    assert "REDIS_PORT is 'x'; allowed: a whole number" == second


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, os.environ is the source."""
    monkeypatch.setenv("REDIS_HOST", "cache.example")
    assert "cache.example" == Settings.from_env().host


def test_two_profiles_in_one_environment_are_named() -> None:
    """Nothing else is said, since each variable may be of either; one alone is neither refused nor warned of."""
    one, two = ({"REDIS_PROFILE_0123ABCD": "redis@node1"}, {"REDIS_PROFILE_DCBA3210": "shop@node2", "REDIS_URL": "unix:///x"})
    (problem,) = problems_of({**one, "REDIS_HOST": "cache.example", **two})
    assert problem.startswith("the connection profiles redis@node1 and shop@node2 are both in the environment")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "cache.example" == Settings.from_env({**one, "REDIS_HOST": "cache.example"}).host


@pytest.mark.filterwarnings("ignore:REDIS_RETRY_ATTEMPTS")
def test_all_variables_are_read() -> None:
    """Each variable fills its field."""
    environ = {
        "REDIS_HOST": "cache.example",
        "REDIS_PORT": "6380",
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": " p w ",
        "REDIS_DB": "3",
        "REDIS_TLS_ENABLED": "yes",
        "REDIS_TLS_CA_FILE": "/etc/ca.crt",
        "REDIS_TLS_VERIFY": "on",
        "REDIS_TLS_SERVER_NAME": "tls.example",
        "REDIS_TLS_CERT_FILE": "/etc/client.crt",
        "REDIS_TLS_KEY_FILE": "/etc/client.key",
        "REDIS_KEY_PREFIX": "app:",
        "REDIS_RETRY_ATTEMPTS": "7",
        "REDIS_RETRY_DELAY": "250",
        "REDIS_TIMEOUT_SECONDS": "0.5",
        "REDIS_ENVIRONMENT": " Test",
    }
    expected = Settings(
        host="cache.example",
        port=6380,
        username="app",
        password=" p w ",
        db=3,
        tls=True,
        tls_ca_file="/etc/ca.crt",
        tls_server_name="tls.example",
        tls_cert_file="/etc/client.crt",
        tls_key_file="/etc/client.key",
        key_prefix="app:",
        retry_attempts=7,
        retry_delay_ms=250,
        timeout_seconds=0.5,
        environment="test",
    )
    assert expected == Settings.from_env(environ)


@pytest.mark.client
def test_both_clients_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The synchronous and the asynchronous client know the same names."""
    monkeypatch.setenv("REDIS_URL", "rediss+sentinel://u:p@a,b/main/2")
    monkeypatch.setenv("REDIS_KEY_PREFIX", "app:")
    assert Settings.from_env() == Client.from_env().settings == AsyncClient.from_env().settings


def test_sentinels_are_read() -> None:
    """Sentinels, the service, and credentials of both kinds; the server's password is not the Sentinels'."""
    environ = {
        "REDIS_SENTINELS": "a,b:5000,[::1]",
        "REDIS_SENTINEL_SERVICE": "main",
        "REDIS_SENTINEL_USERNAME": "watcher",
        "REDIS_SENTINEL_PASSWORD": "sp",
        "REDIS_PASSWORD": "p",
        "REDIS_DB": "2",
    }
    expected = Settings(
        sentinels=(("a", 26379), ("b", 5000), ("::1", 26379)),
        sentinel_service="main",
        sentinel_username="watcher",
        sentinel_password="sp",
        password="p",
        db=2,
    )
    assert expected == Settings.from_env(environ)
    assert expected == Settings.from_env({**environ, "REDIS_SENTINELS": '["a", {"host": "b", "port": 5000}, "[::1]"]'})


@pytest.mark.filterwarnings("ignore:REDIS_RETRY_ATTEMPTS")
@pytest.mark.parametrize(("text", "attempts"), [("endless", None), (" Endless ", None), ("0", 0), ("12", 12)])
def test_attempts_are_a_number_or_endless(text: str, attempts: int | None) -> None:
    """Endless is as many as fit into the time."""
    assert attempts == Settings.from_env({"REDIS_HOST": "h", "REDIS_RETRY_ATTEMPTS": text}).retry_attempts
    assert attempts == Settings.from_mapping({"retry_attempts": text}).retry_attempts


def test_defaults_are_those_of_an_application() -> None:
    """A call has two seconds, and nothing is flushed unless the environment is named."""
    settings = Settings.from_env({"REDIS_HOST": "h"})
    assert (2.0, "production", True) == (settings.timeout_seconds, settings.environment, settings.tls_verify)
    assert settings == Settings(host="h")


@pytest.mark.parametrize("address", [{"REDIS_HOST": "h"}, {"REDIS_URL": "redis://h"}])
def test_what_kubernetes_injects_is_not_ours(address: dict[str, str]) -> None:
    """Beside a Service called redis every pod has these; the user did not set them."""
    injected = {
        "REDIS_PORT": "tcp://10.11.240.20:6380",
        "REDIS_SERVICE_HOST": "10.11.240.20",
        "REDIS_SERVICE_PORT": "6380",
        "REDIS_PORT_6380_TCP": "tcp://10.11.240.20:6380",
        "REDIS_PORT_6380_TCP_ADDR": "10.11.240.20",
        "REDIS_PORT_6380_TCP_PORT": "6380",
        "REDIS_PORT_6380_TCP_PROTO": "tcp",
    }
    assert Settings(host="h") == Settings.from_env({**injected, **address})


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files often set variables to nothing."""
    assert Settings(host="h") == Settings.from_env({"REDIS_HOST": "h", "REDIS_PORT": "", "REDIS_PASSWORD": "", "REDIS_URL": " "})


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("a:7000,b:7001", (("a", 7000), ("b", 7001))),
        (" a:7000 , b ", (("a", 7000), ("b", 6379))),
        ("[::1]:7000,[fe80::1]:7001", (("::1", 7000), ("fe80::1", 7001))),
        ('["a:7000", "[::1]:7001"]', (("a", 7000), ("::1", 7001))),
        ('[{"host": "a", "port": 7000}, {"host": "b"}]', (("a", 7000), ("b", 6379))),
        ('[["a", 7000]]', (("a", 7000),)),
        ("a:7000,", (("a", 7000),)),
    ],
)
def test_cluster_nodes_are_a_list_or_json(text: str, nodes: tuple[tuple[str, int], ...]) -> None:
    """REDIS_CLUSTER_NODES alone says where the servers are."""
    assert nodes == Settings.from_env({"REDIS_CLUSTER_NODES": text}).cluster_nodes


@pytest.mark.parametrize("text", ["a:b", "::1:7000", "a:70000", '[{"port": 1}]', '{"host": "a"}', "a b:1", "[1]", "a:0"])
def test_unusable_cluster_nodes_are_quoted(text: str) -> None:
    """The variable, the value found and the form allowed are named."""
    (problem,) = problems_of({"REDIS_CLUSTER_NODES": text})
    assert problem.startswith(f"REDIS_CLUSTER_NODES is {text!r}; allowed: ")


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("REDIS_PORT", "0", "1 to 65535"),
        ("REDIS_PORT", "65536", "1 to 65535"),
        ("REDIS_PORT", "6379.0", "a whole number"),
        ("REDIS_DB", "-1", "0 and above"),
        ("REDIS_TLS_ENABLED", "maybe", "true or false"),
        ("REDIS_RETRY_ATTEMPTS", "-1", "endless, 0 and above"),
        ("REDIS_RETRY_ATTEMPTS", "many", "a whole number, or endless"),
        ("REDIS_TLS_VERIFY", "none", "true or false"),
        ("REDIS_TIMEOUT_SECONDS", "0", "numbers above 0, below 86400"),
        ("REDIS_TIMEOUT_SECONDS", "2s", "a number"),
        ("REDIS_PORT", "tcp://example:1", "a whole number"),
        ("REDIS_RETRY_DELAY", "fast", "a whole number"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(variable: str, value: str, allowed: str) -> None:
    """Variable, value, allowed values."""
    (problem,) = problems_of({"REDIS_HOST": "h", variable: value})
    assert problem.startswith((f"{variable} is {value}; ", f"{variable} is {value!r}; ", f"{variable} is {value}.0; "))
    assert problem.endswith((f"allowed: {allowed}", f"allowed are {allowed}"))


@pytest.mark.parametrize("host", ["a:6379", "a b", "redis://a", "a,b", "[::1]:6379"])
def test_a_host_is_only_a_host(host: str) -> None:
    """A port or URL in REDIS_HOST is a mistake that would be resolved as a name."""
    (problem,) = problems_of({"REDIS_HOST": host})
    assert problem.startswith(f"REDIS_HOST is {host!r}; allowed: a host name")


@pytest.mark.parametrize(
    ("found", "host"), [("::1", "::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1%eth0"), ("2001:db8::5", "2001:db8::5")]
)
def test_an_ipv6_host_needs_no_brackets(found: str, host: str) -> None:
    """Brackets belong to addresses with a port."""
    assert host == Settings.from_env({"REDIS_HOST": found}).host


CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"REDIS_URL": "redis://a", "REDIS_HOST": "b"}, "REDIS_URL and REDIS_HOST contradict each other"),
    ({"REDIS_URL": "redis://a:1", "REDIS_PORT": "2"}, "REDIS_URL and REDIS_PORT contradict each other"),
    ({"REDIS_URL": "redis://a/1", "REDIS_DB": "2"}, "REDIS_URL and REDIS_DB contradict each other"),
    ({"REDIS_URL": "redis://u:p@a", "REDIS_USERNAME": "v"}, "REDIS_URL and REDIS_USERNAME contradict each other"),
    ({"REDIS_URL": "redis://:p@a", "REDIS_PASSWORD": "q"}, "REDIS_URL and REDIS_PASSWORD contradict each other"),
    ({"REDIS_URL": "redis://a", "REDIS_TLS_ENABLED": "true"}, "REDIS_URL and REDIS_TLS_ENABLED contradict each other"),
    ({"REDIS_URL": "rediss://a", "REDIS_TLS_ENABLED": "false"}, "REDIS_URL and REDIS_TLS_ENABLED contradict each other"),
    ({"REDIS_HOST": "a", "REDIS_PASSWORD": "p", "REDIS_PASSWORD_FILE": "/p"}, "REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set"),
    ({"REDIS_CLUSTER_NODES": "a:1", "REDIS_DB": "2"}, "REDIS_DB is 2; with REDIS_CLUSTER_NODES only 0 is allowed"),
    ({"REDIS_CLUSTER_NODES": "a:1", "REDIS_URL": "redis://b"}, "REDIS_URL names b:6379, which is not among REDIS_CLUSTER_NODES"),
    ({"REDIS_CLUSTER_NODES": "a:1", "REDIS_HOST": "a", "REDIS_PORT": "2"}, "REDIS_HOST and REDIS_PORT names a:2, which is not among"),
    ({"REDIS_URL": "unix:///s", "REDIS_HOST": "a"}, "REDIS_URL names a socket, so REDIS_HOST cannot be set as well"),
    ({"REDIS_URL": "unix:///s", "REDIS_CLUSTER_NODES": "a:1"}, "REDIS_URL names a socket, so REDIS_CLUSTER_NODES cannot be set as well"),
    ({"REDIS_URL": "unix:///s", "REDIS_TLS_ENABLED": "1"}, "REDIS_URL and REDIS_TLS_ENABLED exclude each other"),
    ({"REDIS_HOST": "a", "REDIS_TLS_CA_FILE": "/ca"}, "REDIS_TLS_CA_FILE is set and TLS is off; turn REDIS_TLS_ENABLED on"),
    ({"REDIS_HOST": "a", "REDIS_TLS_CERT_FILE": "/c"}, "REDIS_TLS_CERT_FILE is set and TLS is off; turn REDIS_TLS_ENABLED on"),
    ({"REDIS_HOST": "a", "REDIS_TLS_SERVER_NAME": "b"}, "REDIS_TLS_SERVER_NAME is set and TLS is off; turn REDIS_TLS_ENABLED on"),
    ({"REDIS_URL": "rediss://a", "REDIS_TLS_KEY_FILE": "/k"}, "REDIS_TLS_KEY_FILE needs REDIS_TLS_CERT_FILE"),
    ({"REDIS_SENTINELS": "a"}, "REDIS_SENTINELS and REDIS_SENTINEL_SERVICE belong together; give both"),
    ({"REDIS_HOST": "a", "REDIS_SENTINEL_SERVICE": "s"}, "REDIS_SENTINELS and REDIS_SENTINEL_SERVICE belong together; give both"),
    ({"REDIS_URL": "redis+sentinel://a"}, "REDIS_URL and REDIS_SENTINEL_SERVICE belong together; give both"),
    ({"REDIS_HOST": "a", "REDIS_SENTINEL_PASSWORD": "p"}, "REDIS_SENTINEL_PASSWORD is set and REDIS_SENTINELS is not"),
    ({"REDIS_HOST": "a", "REDIS_SENTINEL_USERNAME": "u"}, "REDIS_SENTINEL_USERNAME is set and REDIS_SENTINELS is not"),
    (
        {"REDIS_URL": "redis+sentinel://a/s", "REDIS_SENTINEL_PASSWORD": "p", "REDIS_SENTINEL_PASSWORD_FILE": "/p"},
        "REDIS_SENTINEL_PASSWORD and REDIS_SENTINEL_PASSWORD_FILE are both set",
    ),
    ({"REDIS_URL": "redis+sentinel://a/s", "REDIS_SENTINELS": "b"}, "REDIS_URL and REDIS_SENTINELS contradict each other"),
    ({"REDIS_URL": "redis+sentinel://a/s", "REDIS_SENTINEL_SERVICE": "t"}, "REDIS_URL and REDIS_SENTINEL_SERVICE contradict each other"),
    ({"REDIS_URL": "redis+sentinel://a/s", "REDIS_HOST": "a"}, "REDIS_HOST names a server and REDIS_URL Sentinels"),
    (
        {"REDIS_URL": "redis://a", "REDIS_SENTINELS": "a", "REDIS_SENTINEL_SERVICE": "s"},
        "REDIS_URL names a server and REDIS_SENTINELS Sentinels",
    ),
    ({"REDIS_URL": "redis+sentinel://a/s", "REDIS_CLUSTER_NODES": "b"}, "REDIS_CLUSTER_NODES and REDIS_URL exclude each other"),
    ({"REDIS_URL": "redis+cluster://a", "REDIS_CLUSTER_NODES": "b"}, "REDIS_URL and REDIS_CLUSTER_NODES contradict each other"),
    ({"REDIS_URL": "redis+cluster://a", "REDIS_HOST": "b"}, "REDIS_HOST names b:6379, which is not among REDIS_URL"),
    ({"REDIS_URL": "redis+cluster://a", "REDIS_DB": "2"}, "REDIS_DB is 2; with REDIS_URL only 0 is allowed"),
    ({"REDIS_URL": "rediss+cluster://a", "REDIS_TLS_ENABLED": "false"}, "REDIS_URL and REDIS_TLS_ENABLED contradict each other"),
    ({"REDIS_URL": "valkeys://a", "REDIS_TLS_ENABLED": "false"}, "REDIS_URL and REDIS_TLS_ENABLED contradict each other"),
]


@pytest.mark.parametrize(("environ", "problem"), CONTRADICTIONS, ids=[problem for _unused, problem in CONTRADICTIONS])
def test_contradictions_name_the_variables(environ: dict[str, str], problem: str) -> None:
    """Which of two was meant is not guessed."""
    (found,) = problems_of(environ)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REDIS_URL": "redis://a:1/2", "REDIS_HOST": "a", "REDIS_PORT": "1", "REDIS_DB": "2"}, Settings(host="a", port=1, db=2)),
        ({"REDIS_URL": "redis://a", "REDIS_PORT": "6380", "REDIS_PASSWORD": "p"}, Settings(host="a", port=6380, password="p")),
        ({"REDIS_URL": "redis://u@a", "REDIS_PASSWORD": "p"}, Settings(host="a", username="u", password="p")),
        ({"REDIS_URL": "rediss://a", "REDIS_TLS_ENABLED": "true"}, Settings(host="a", tls=True)),
        (
            {"REDIS_CLUSTER_NODES": "a:1,b:2", "REDIS_HOST": "b", "REDIS_PORT": "2"},
            Settings(host="b", port=2, cluster_nodes=(("a", 1), ("b", 2))),
        ),
        (
            {"REDIS_URL": "redis+cluster://a:1,b:2", "REDIS_CLUSTER_NODES": "b:2,a:1", "REDIS_DB": "0"},
            Settings(cluster_nodes=(("b", 2), ("a", 1))),
        ),
        (
            {"REDIS_URL": "redis+sentinel://a", "REDIS_SENTINELS": "a:26379", "REDIS_SENTINEL_SERVICE": "s"},
            Settings(sentinels=(("a", 26379),), sentinel_service="s"),
        ),
    ],
)
def test_variables_that_agree_add_up(environ: dict[str, str], expected: Settings) -> None:
    """A URL in a config map and a password in a secret are one configuration."""
    assert expected == Settings.from_env(environ)


def test_all_problems_come_at_once() -> None:
    """One run shows everything there is to repair."""
    found = problems_of(
        {"REDIS_HOST": "a:1", "REDIS_PORT": "x", "REDIS_DB": "-1", "REDIS_TLS_ENABLED": "?", "REDIS_PASSWORD_FILE": "/nowhere"}
    )
    assert ["REDIS_DB", "REDIS_HOST", "REDIS_PASSWORD_FILE", "REDIS_PORT", "REDIS_TLS_ENABLED"] == sorted(text.split()[0] for text in found)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"REDIS_SENTINELS": "a b", "REDIS_SENTINEL_SERVICE": "s"}, "REDIS_SENTINELS is 'a b'; allowed: "),
        ({"REDIS_URL": "redis+sentinel://a:port", "REDIS_SENTINEL_SERVICE": "s"}, "REDIS_URL cannot be read"),
        ({"REDIS_URL": "rediss://a:port", "REDIS_TLS_CA_FILE": "/ca", "REDIS_HOST": "b"}, "REDIS_URL cannot be read"),
        ({"REDIS_HOST": "a", "REDIS_TLS_ENABLED": "?", "REDIS_TLS_CA_FILE": "/ca"}, "REDIS_TLS_ENABLED is '?'; allowed: "),
        ({"REDIS_URL": "redis://u@a", "REDIS_PASSWORD_FILE": "/nowhere"}, "REDIS_PASSWORD_FILE is '/nowhere' and cannot be read"),
    ],
)
def test_a_problem_has_no_echo(environ: dict[str, str], problem: str) -> None:
    """From a value that cannot be read nothing follows for the others."""
    (found,) = problems_of(environ)
    assert found.startswith(problem)


def test_a_password_file_is_read_without_its_line_break(tmp_path: Path) -> None:
    """Editors end a file with a line break; blanks may belong to the password."""
    file = tmp_path / "password"
    file.write_text(" pass word \n", encoding="utf-8")
    assert " pass word " == Settings.from_env({"REDIS_HOST": "a", "REDIS_PASSWORD_FILE": str(file)}).password
    sentinel = {"REDIS_URL": "redis+sentinel://a/s", "REDIS_SENTINEL_PASSWORD_FILE": str(file)}
    assert (None, " pass word ") == (Settings.from_env(sentinel).password, Settings.from_env(sentinel).sentinel_password)


def test_an_unusable_password_file_is_named(tmp_path: Path) -> None:
    """Missing, empty and binary files are reported differently."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe")
    found = [problems_of({"REDIS_HOST": "a", "REDIS_PASSWORD_FILE": str(path)}) for path in (tmp_path / "none", empty, binary)]
    assert [
        (f"REDIS_PASSWORD_FILE is {str(tmp_path / 'none')!r} and cannot be read: No such file or directory",),
        (f"REDIS_PASSWORD_FILE is {str(empty)!r} and that file is empty",),
        (f"REDIS_PASSWORD_FILE is {str(binary)!r} and cannot be read: it is not UTF-8 text",),
    ] == found


def test_a_mapping_takes_values_and_texts() -> None:
    """Profiles hold texts, modules hold values; None means not given."""
    mapping: dict[str, Any] = {"host": "a", "port": "6380", "tls": "true", "timeout_seconds": "2.5", "db": 1, "password": None}
    assert Settings(host="a", port=6380, tls=True, timeout_seconds=2.5, db=1) == Settings.from_mapping(mapping)


def test_a_mapping_reports_unknown_names() -> None:
    """A misspelt name is not ignored."""
    with pytest.raises(SettingsError, match="hots is not a setting; known are host, port"):
        Settings.from_mapping({"hots": "a"})


def test_a_mapping_uses_the_names_of_the_caller() -> None:
    """A module's user knows login_port, not port."""
    with pytest.raises(SettingsError, match=r"^login_port is 0; allowed are 1 to 65535; ca_certs is set and TLS is off; turn tls on"):
        Settings.from_mapping({"port": 0, "tls_ca_file": "/ca"}, {"port": "login_port", "tls_ca_file": "ca_certs"})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"port": 0}, "port is 0"),
        ({"sentinels": (("a", 1),)}, "sentinels and sentinel_service belong together"),
        (
            {"sentinels": (("a", 1),), "sentinel_service": "s", "cluster_nodes": (("b", 1),)},
            "cluster_nodes and sentinels exclude each other",
        ),
        ({"timeout_seconds": 0}, "timeout_seconds is 0"),
        ({"retry_attempts": -1}, "retry_attempts is -1"),
        ({"sentinel_password": "p"}, "sentinel_password is set and sentinels is not"),
        ({"tls": True, "tls_key_file": "/k"}, "tls_key_file needs tls_cert_file"),
        ({"host": ""}, "host is empty"),
    ],
)
def test_settings_made_by_hand_are_checked_too(values: dict[str, Any], problem: str) -> None:
    """There is no way to hold settings that contradict themselves."""
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    assert caught.value.problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), "127.0.0.1:6379"),
        (Settings(host="::1"), "[::1]:6379"),
        (Settings(unix_socket="/run/s"), "unix:/run/s"),
        (Settings(cluster_nodes=(("a", 1), ("::1", 2))), "cluster a:1,[::1]:2"),
        (Settings(sentinels=(("a", 1),), sentinel_service="main"), "service main of Sentinel a:1"),
    ],
)
def test_the_address_is_printable(settings: Settings, address: str) -> None:
    """Errors and reports say where."""
    assert address == settings.address


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REDIS_PASSWROD", "REDIS_PASSWORD"),
        ("REDIS_PASS", "REDIS_PASSWORD"),
        ("REDIS_USER", "REDIS_USERNAME"),
        ("REDIS_URI", "REDIS_URL"),
        ("REDIS_TIMEOUT", "REDIS_TIMEOUT_SECONDS"),
        ("REDIS_SENTINEL", "REDIS_SENTINELS"),
        ("REDIS_TLS_ENABLE", "REDIS_TLS_ENABLED"),
        ("REDIS_CLUSTER_NODE", "REDIS_CLUSTER_NODES"),
    ],
)
def test_a_misspelt_variable_is_reported(name: str, meant: str) -> None:
    """Its value is not, since it may be a password; and it is no error, since it may belong to another program."""
    with pytest.warns(SettingsWarning) as caught:
        settings = Settings.from_env({"REDIS_HOST": "h", name: "5"})
    assert [f"{name} is set and means nothing here; was {meant} meant?"] == [str(warning.message) for warning in caught]
    assert __file__ == caught[0].filename
    assert Settings(host="h") == settings


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_POOL": "5"},
        {"REDIS_TTL": "5"},
        {"REDIS_MAX_CONNECTIONS": "5"},
        {"REDIS_EXPORTER_ADDR": "a"},
        {"REDIS_USER": "a", "REDIS_USERNAME": "a"},
        {"REDIS_PASSWD": "a", "REDIS_PASSWORD": "a"},
        {"REDIS_PASSWROD": ""},
        {"CELERY_REDIS_PASSWROD": "a"},
    ],
)
def test_foreign_variables_are_kept(environ: dict[str, str]) -> None:
    """Warnings are errors in these tests, so one would fail this."""
    assert "h" == Settings.from_env({"REDIS_HOST": "h", **environ}).host


def test_an_unchecked_certificate_is_reported() -> None:
    """A variable that was set for a test warns in production; an argument of the program does not, nor a variable without effect."""
    with pytest.warns(SettingsWarning, match="^REDIS_TLS_VERIFY is off: ") as caught:
        settings = Settings.from_env({"REDIS_URL": "rediss://h", "REDIS_TLS_VERIFY": "false"})
    assert [__file__] == [warning.filename for warning in caught]
    assert (True, False) == (settings.tls, settings.tls_verify)
    assert settings == Settings.from_url("rediss://h", tls_verify=False)
    assert not Settings.from_env({"REDIS_URL": "redis://h", "REDIS_TLS_VERIFY": "false"}).tls_verify


def test_the_documentation_lists_the_variables() -> None:
    """One row for each name, no more."""
    page = Path(__file__).parents[3] / "docs" / "client" / "configuration.md"
    rows = [line.split("`")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `REDIS_")]
    assert sorted(VARIABLES) == sorted(rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_CLUSTER_NODES", ","),
        ("REDIS_CLUSTER_NODES", " , ,"),
        ("REDIS_CLUSTER_NODES", "[]"),
        ("REDIS_CLUSTER_NODES", "'a:7000'"),
        ("REDIS_CLUSTER_NODES", '"a:7000","b:7000"'),
        ("REDIS_CLUSTER_NODES", "a:70000"),
        ("REDIS_CLUSTER_NODES", "a:0"),
        ("REDIS_SENTINELS", ","),
        ("REDIS_HOST", '"a"'),
        ("REDIS_HOST", "'a'"),
        ("REDIS_URL", "redis://a:70000"),
        ("REDIS_URL", "redis://'a':7000"),
        ("REDIS_URL", "'redis://a:7000'"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(name: str, value: str) -> None:
    """Before anything is connected, naming the variable."""
    environ = {name: value, **({"REDIS_SENTINEL_SERVICE": "s"} if name == "REDIS_SENTINELS" else {})}
    assert any(problem.startswith(name) for problem in problems_of(environ))


@pytest.mark.parametrize("name", ["REDIS_TLS", "REDIS_SSL", "REDIS_USE_SSL"])
def test_other_names_of_tls_are_reported(name: str) -> None:
    """Whoever sets one expects encryption; there is no warning where the URL or REDIS_TLS asks for it."""
    with pytest.warns(SettingsWarning, match=f"^{name} is set and means nothing here; was REDIS_TLS_ENABLED meant"):
        Settings.from_env({"REDIS_HOST": "a", name: "true"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings.from_env({"REDIS_URL": "rediss://a", name: "true"})
        Settings.from_env({"REDIS_HOST": "a", "REDIS_TLS_ENABLED": "true", name: "true"})


def test_attempts_that_do_not_fit_are_reported() -> None:
    """Five attempts with a second before the first of them are about two within two seconds."""
    with pytest.warns(SettingsWarning, match="^REDIS_RETRY_ATTEMPTS is 5; .* only about 1 fit into REDIS_TIMEOUT_SECONDS, 2$"):
        Settings.from_env({"REDIS_HOST": "a", "REDIS_RETRY_ATTEMPTS": "5", "REDIS_RETRY_DELAY": "1000"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings.from_env({"REDIS_HOST": "a", "REDIS_RETRY_ATTEMPTS": "5", "REDIS_RETRY_DELAY": "10"})
        Settings.from_env({"REDIS_HOST": "a", "REDIS_RETRY_ATTEMPTS": "endless", "REDIS_RETRY_DELAY": "1000"})


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_one_line_end_of_a_secret_file_is_dropped(tmp_path: Path, end: str) -> None:
    """As editors leave it; the path is kept, so that the client can read the file again."""
    file = tmp_path / "p"
    file.write_bytes(f" pass word {end}".encode())
    settings = Settings.from_env({"REDIS_HOST": "a", "REDIS_PASSWORD_FILE": str(file)})
    assert (" pass word ", str(file)) == (settings.password, settings.password_file)
    assert settings == Settings(host="a", password_file=str(file))


@pytest.mark.parametrize("secret", ["a\nb", "a\n\n", "a\r", "\na", "a\r\r\n"])
def test_a_line_end_within_a_secret_is_refused(tmp_path: Path, secret: str) -> None:
    """Wherever it comes from, naming it and never quoting it."""
    file = tmp_path / "p"
    file.write_bytes(secret.encode())
    assert any("holds a line end within" in problem for problem in problems_of({"REDIS_HOST": "a", "REDIS_PASSWORD_FILE": str(file)}))
    assert ("REDIS_PASSWORD is not usable; allowed: a text without line ends; one was probably copied with it",) == tuple(
        problems_of({"REDIS_HOST": "a", "REDIS_PASSWORD": f"a{secret}"})
    )
    with pytest.raises(SettingsError, match=r"^password holds a line end$"):
        Settings(password=f"a{secret}")
