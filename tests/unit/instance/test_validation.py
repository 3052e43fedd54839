# SPDX-License-Identifier: MIT
"""Variables of the role that cannot be used are refused from the inventory alone, in one clear sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.instance.model import from_variables
from keyfleet.core.instance.validation import problems

SECRET = "hush-hush-hush"
ANY = "0.0.0.0"  # noqa: S104
HASH = "#" + "0123456789abcdef" * 4


def variables(*instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return role variables as the filters get them."""
    return {"engine": "redis", "service_manager": "process", "root": "/srv/x", "instances": list(instances), **more}


def one(**options: Any) -> list[str]:
    """Return the problems of one instance."""
    return problems(variables({"name": "a", **options}))


def test_problems_are_found_all_at_once() -> None:
    """Several wrong values give one message each, with the variable in it."""
    found = problems(variables({"name": "a", "port": 80}, {"name": "B"}, {"name": "c", "state": "gone"}))
    assert 3 == len(found)
    assert [True, True, True] == [text.startswith("redis_server_instances[") for text in found]


@pytest.mark.parametrize("name", ["../x", "", "a b", ".", "A", "a/b", "a\n", "-a", "profiles", "x" * 33, None, 7, "é"])
def test_a_deployment_needs_a_name_that_paths_can_hold(name: object) -> None:
    """It is part of paths on the controller."""
    (problem,) = problems(variables({"name": "a"}, deployment=name))
    assert problem.startswith(f"redis_deployment is {name!r}: use 1 to 32 of a-z")


def test_absent_instances_need_no_port_of_their_own() -> None:
    """An instance that is removed may have a port that another one takes."""
    assert [] == problems(variables({"name": "a", "state": "absent"}, {"name": "b"}))


@pytest.mark.parametrize("port", [1024, "7000", 65535, None])
def test_possible_ports_pass(port: object) -> None:
    """A template may give the number as text."""
    assert [] == one(port=port)


@pytest.mark.parametrize("port", [7000, "7000"])
def test_port_of_the_host_is_that_of_the_instance_default(port: object) -> None:
    """Others keep theirs, and its own option wins; without such an instance it would mean nothing and is refused."""
    listed = {"name": "default"}, {"name": "b"}, {"name": "c", "port": 7001}
    assert [] == problems(variables(*listed, port=port))
    assert [7000, 6379, 7001] == [instance.port for instance in from_variables(variables(*listed, port=port))]
    assert [7002] == [instance.port for instance in from_variables(variables({"name": "default", "port": 7002}, port=port))]
    (problem,) = problems(variables({"name": "b"}, port=port))
    assert problem.startswith("redis_server_port is for the instance 'default', which is not listed")
    (problem,) = problems(variables({"name": "default"}, port=80))
    assert problem.startswith("redis_server_port is 80: give 1024 to 65535")


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("unix_socket", "no", "true or false, without quotes"),
        ("purge", "no", "true or false, without quotes"),
        ("state", ["absent"], "'present' or 'absent'"),
        ("unix_socket_perm", 0o770, "in quotes"),
        ("unix_socket_perm", "0770", "three octal digits"),
        ("bind", "127.0.0.1", "a list of at least one address"),
        ("bind", [1], "a list of at least one address"),
        ("bind", [], "a list of at least one address"),
        ("directives", ["hz 5"], "a dictionary"),
        ("port", "٧٠٠٠", "1024 to 65535"),
        ("port", True, "1024 to 65535"),
        ("port", 7000.0, "1024 to 65535"),
        ("port", [7000], "1024 to 65535"),
        ("port", "9" * 5000, "1024 to 65535"),
    ],
)
def test_another_kind_of_value_is_refused(option: str, value: object, wanted: str) -> None:
    """What Ansible would accept as convertible is refused, since nothing converts it: one message with variable, value and advice."""
    (problem,) = one(**{option: value})
    assert problem.startswith(f"redis_server_instances[a].{option} is {value!r}: give ")
    assert wanted in problem


@pytest.mark.parametrize("password", [[SECRET], 123456789, True])
def test_a_password_of_another_kind_is_refused_unseen(password: object) -> None:
    """For the host and for an instance, and the value is not repeated."""
    assert ["redis_server_instances[a].password is of another kind: give text; put quotes around it"] == one(password=password)
    found = problems(variables({"name": "a"}, password=password))
    assert ["redis_server_password is of another kind: give text; put quotes around it"] == found


@pytest.mark.parametrize(("name", "value"), [("bind", "127.0.0.1"), ("bind", [["::1"]]), ("directives", ["hz"]), ("directives", [])])
def test_variables_of_the_host_of_another_kind_are_refused(name: str, value: object) -> None:
    """One message, not one for each letter."""
    (problem,) = problems(variables({"name": "a"}, **{name: value}))
    assert problem.startswith(f"redis_server_{name} is {value!r}: give ")


def test_a_version_that_nothing_installs_is_refused() -> None:
    """A pin together with the install method none would be ignored in silence."""
    found = problems(variables({"name": "a"}, install_method="none", version="5:7.0.15-1"))
    assert 1 == len(found)
    assert [] == [word for word in ("redis_server_version", "5:7.0.15-1", "redis_server_install_method") if word not in found[0]]
    assert [] == problems(variables({"name": "a"}, install_method="distro", version="5:7.0.15-1"))
    assert [] == problems(variables({"name": "a"}, install_method="none", version=""))


@pytest.mark.parametrize(("length", "refused"), [(107, False), (108, True)])
def test_a_socket_path_that_the_system_cannot_hold_is_refused(length: int, refused: bool) -> None:
    """The server would listen on a shortened path."""
    root = "/" + "x" * (length - len("//run/keyfleet/a/server.sock"))
    found = problems({**variables({"name": "a", "unix_socket": True}), "root": root})
    assert refused == any(str(length) in problem and "redis_server_root" in problem for problem in found)
    assert [] == problems({**variables({"name": "a"}), "root": root})


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        ("on nopass ~* +@all", True),
        ("NOPASS ON", True),
        (f"on {HASH} nopass", True),
        (f"on {HASH} ~*", False),
        (f"on nopass {HASH}", False),
        ("on nopass resetpass", False),
        ("nopass on reset", False),
        ("on nopass off", False),
    ],
)
def test_users_without_a_password_are_refused_on_public_addresses(rules: str, refused: bool) -> None:
    """As an empty password is; on loopback both are allowed."""
    found = one(bind=[ANY], directives={"user": [f"app {rules}"]})
    assert refused == any("'app'" in problem and ANY in problem and "nopass" in problem for problem in found)
    assert refused == bool(found)
    assert [] == one(directives={"user": [f"app {rules}"]})


@pytest.mark.parametrize(
    ("password", "reason"),
    [("seven77", "7 characters"), ("sessions", "part of the instance name 'sessions-eu'"), ("sessions-us", None), ("", None)],
)
def test_passwords_that_would_hide_other_words_are_refused(password: str, reason: str | None) -> None:
    """Ansible masks a password inside of every word of a result."""
    for given in (variables({"name": "sessions-eu"}, password=password), variables({"name": "sessions-eu", "password": password})):
        found = problems(given)
        assert (0 if reason is None else 1) == len(found)
        assert [] == [problem for problem in found if str(reason) not in problem]


def test_more_clients_than_a_process_has_files_are_refused() -> None:
    """The server would lower the number silently, and every run would try again."""
    assert [] == one(directives={"maxclients": 1048480})
    (problem,) = one(directives={"maxclients": "1048481"})
    assert "directives.maxclients is 1048481: use at most 1048480" in problem


@pytest.mark.parametrize("name", ["start_timeout_seconds", "log_keep_days", "memory_percent"])
@pytest.mark.parametrize("value", [-1, "-1", 1.5, "1.5", True, "", "five", [5], None, 10**6])
def test_numbers_out_of_range_are_refused(name: str, value: object) -> None:
    """One message with variable, value and range."""
    (problem,) = problems(variables({"name": "a"}, **{name: value}))
    assert problem.startswith(f"redis_server_{name} is {value!r}: give ")


@pytest.mark.parametrize("value", [50, "50"])
def test_numbers_of_the_command_line_are_text(value: object) -> None:
    """``-e redis_server_memory_percent=50`` means the number."""
    assert [] == problems(variables({"name": "a"}, memory_percent=value, log_keep_days=value, start_timeout_seconds=value))


def test_a_start_needs_time() -> None:
    """No second would refuse every server."""
    (problem,) = problems(variables({"name": "a"}, start_timeout_seconds=0))
    assert "redis_server_start_timeout_seconds is 0: give 1 to 86400 seconds" == problem


@pytest.mark.parametrize("root", ["/srv/../etc", "/srv//x", "/srv/x/", "/srv/./x", "/.."])
def test_a_root_is_written_in_its_shortest_form(root: str) -> None:
    """What paths derive from must not depend on how it is read."""
    (problem,) = problems({**variables({"name": "a"}), "root": root})
    assert problem.startswith(f"redis_server_root is {root!r}: write it as ")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0", "\nmore"])
@pytest.mark.parametrize("name", ["password", "previous_password"])
def test_a_password_with_a_line_end_is_refused_unseen(name: str, end: str) -> None:
    """A profile is a file of lines."""
    (problem,) = problems(variables({"name": "a"}, **{name: SECRET + end}))
    assert problem.startswith(f"redis_server_{name} has a line end")
    assert SECRET not in problem
    assert [True] == ["has a line end" in problem for problem in one(password=SECRET + end)]


def test_a_password_that_no_client_could_send_is_refused_unseen() -> None:
    """The server closes connections whose AUTH is longer."""
    (problem,) = problems(variables({"name": "a"}, password="x" * 20_000))
    assert "redis_server_password has 20000 bytes: use at most 16384; the server refuses a longer AUTH" == problem
    assert [] == problems(variables({"name": "a"}, password="x" * 16_384))


@pytest.mark.parametrize("password", [[SECRET], 123456789])
def test_a_previous_password_of_another_kind_is_refused_unseen(password: object) -> None:
    """As every other one."""
    found = problems(variables({"name": "a"}, previous_password=password))
    assert ["redis_server_previous_password is of another kind: give text; put quotes around it"] == found


@pytest.mark.parametrize(("maxmemory", "right"), [("1", False), (100, False), ("512kb", False), ("1mb", True), (0, True), ("2gb", True)])
def test_a_maxmemory_without_its_unit_is_refused(maxmemory: object, right: bool) -> None:
    """Less than an empty server uses would refuse every write."""
    found = one(directives={"maxmemory": maxmemory})
    assert right == (found == [])
    assert right or "a bare number is bytes" in found[0]
