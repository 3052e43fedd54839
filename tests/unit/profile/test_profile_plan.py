# SPDX-License-Identifier: MIT
"""Which profiles there are after any sequence of runs: names stay, nothing stale is left, and no file of another is touched."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import SettingsError
from keyfleet.core.profile.forms import FORMS
from keyfleet.core.profile.names import Owner, host_problem, marked_owner, named_owner, stem_of
from keyfleet.core.profile.plan import Desired, candidates, foreign_problems, plan_profiles

FOLDER, FORMS_FOLDER = PurePosixPath("/inventory"), PurePosixPath("/inventory/.keyfleet/profiles")
PASSWORD = "correct-horse-battery"
HOSTS = ("node1", "node2", "node3")
DEPLOYMENTS = ("redis", "redis-cache", "shop")
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
OWNERS = st.builds(
    Owner,
    instance=NAMES,
    deployment=NAMES,
    user=st.just("") | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True),
    host=st.just("") | st.from_regex(r"[a-z0-9][a-z0-9.@+: -]{0,12}", fullmatch=True).map(str.strip),
    former=st.just(False),
)


class Folder:
    """The folders of an inventory, on which runs are tried."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def texts(self, desired: Desired) -> dict[str, str]:
        """Return what the files hold that may be profiles."""
        names: dict[str, list[str]] = {}
        for path in self.files:
            names.setdefault(str(PurePosixPath(path).parent), []).append(PurePosixPath(path).name)
        return {path: self.files[path] for path in candidates(desired, names)}

    def run(self, *desired: Desired) -> list[str]:
        """Do what a run does for several hosts, and return its notes."""
        notes = []
        for one in desired:
            assert [] == foreign_problems(one, self.texts(one))
            plan = plan_profiles(one, self.texts(one))
            notes += plan.notes
            for file in plan.files:
                if file.content is None:
                    del self.files[file.path]
                else:
                    self.files[file.path] = file.content
        return notes

    def names(self) -> set[str]:
        """Return the names of all files."""
        return {PurePosixPath(path).name for path in self.files}


def endpoint(name: str = "default", port: int = 6379, password: str = PASSWORD) -> dict[str, Any]:
    """Return where an instance is reached."""
    return {"name": name, "host": "192.0.2.1", "port": port, "password": password}


def desired(host: str = "node1", hosts: Sequence[str] = ("node1",), deployment: str = "redis", **more: Any) -> Desired:
    """Return what one host wants; one instance by default."""
    given = {"instances": [endpoint()], "knows_all": True, **more}
    return Desired(deployment, host, hosts, FOLDER / f"{deployment}.env", FORMS_FOLDER, **given)


def earlier(name: str, title: str, port: int = 6379) -> tuple[str, str]:
    """Return path and text of an env file as an earlier version wrote it."""
    lines = [f"# Ansible managed: how applications reach {title}", "REDIS_HOST=192.0.2.1", f"REDIS_PORT={port}", "REDIS_PASSWORD=old", ""]
    return str(FOLDER / name), "\n".join(lines)


@given(OWNERS, NAMES)
def test_whose_a_file_is_can_be_read_back(owner: Owner, base: str) -> None:
    """From its name alone, and from its first line."""
    stem = stem_of(base, owner)
    named = named_owner(stem, base)
    assert named is not None
    if owner.instance != "default":
        assert (owner.user, owner.host, owner.instance) == (named.user, named.host, named.instance)
    assert owner == marked_owner(f"# {owner.title}\nREDIS_HOST=x\n", stem, base)
    assert None is marked_owner("REDIS_HOST=x\n", stem, base)


RUN = st.fixed_dictionaries(
    {
        "hosts": st.sets(st.sampled_from(HOSTS), min_size=1),
        "instances": st.lists(st.sampled_from(("default", "sessions", "cache")), min_size=1, unique=True),
        "users": st.lists(st.sampled_from(("reader", "b")), unique=True),
        "forms": st.lists(st.sampled_from(FORMS), unique=True),
        "password": st.sampled_from(("first-password", "second-password")),
    }
)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(DEPLOYMENTS), RUN), min_size=1, max_size=5))
def test_after_any_runs_each_deployment_has_its_own_profiles_alone(runs: list[tuple[str, dict[str, Any]]]) -> None:
    """
    Hosts, instances, users and forms come and go: what a host of the inventory has is what its last run wanted, with that password.

    Files of hosts that left are named and kept; files of others are neither changed nor removed; a second run changes nothing.
    """
    folder, last = Folder(), dict[str, dict[str, Any]]()
    folder.files[str(FOLDER / "redis-notes.env")] = foreign = "REDIS_HOST=mine\n"
    for deployment, wanted in runs:
        users = [{"name": name, "password": f"{name}-password"} for name in wanted["users"]]
        instances = [endpoint(name, password=wanted["password"]) for name in wanted["instances"]]
        # Hosts of an inventory belong to one deployment each.
        hosts = [f"{deployment}.{host}" for host in sorted(wanted["hosts"])]
        options = {"instances": instances, "users": users, "forms": wanted["forms"], "secret_arns": {}}
        all_desired = [desired(host, hosts, deployment, **options) for host in hosts]
        before = {path: text for path, text in folder.files.items() if f"@{deployment}." not in path}
        notes = folder.run(*all_desired)
        assert before == {path: text for path, text in folder.files.items() if f"@{deployment}." not in path}
        last.update((host, {**wanted, "deployment": deployment}) for host in hosts)
        for host, found in last.items():
            mine = {path: text for path, text in folder.files.items() if f"@{host}." in path and host.startswith(f"{deployment}.")}
            env_files = {path for path in mine if path.endswith(".env") and not path.endswith(".service.env")}
            if host in hosts:
                assert len(found["instances"]) * (1 + len(found["users"])) == len(env_files)
                files_of_a_form = len(wanted["forms"]) + ("kubernetes" in wanted["forms"])
                assert len(env_files) * (1 + files_of_a_form) == len(mine)
                assert all(wanted["password"] in mine[path] for path in env_files if "+" not in path)
            else:
                assert all(any(path in note for note in notes) for path in env_files)
        copy = dict(folder.files)
        folder.run(*all_desired)
        assert copy == folder.files
    assert foreign == folder.files[str(FOLDER / "redis-notes.env")]


def test_names_are_the_same_for_one_host_and_for_many() -> None:
    """1 → 2 → 1 hosts; the profile of the host that left is named until it is removed."""
    folder = Folder()
    forms = {"forms": ["systemd"]}
    assert [] == folder.run(desired(**forms))
    assert {"redis@node1.env", "redis@node1.service.env"} == folder.names()
    both = [desired(host, ("node1", "node2"), **forms) for host in ("node1", "node2")]
    assert [] == folder.run(*both)
    assert {f"redis@{host}{ending}" for host in ("node1", "node2") for ending in (".env", ".service.env")} == folder.names()
    (note,) = folder.run(desired(**forms))
    assert note.startswith("/inventory/redis@node2.env is of node2, a host that the inventory does not have any more")


def test_former_name_is_kept_up_to_date_and_named() -> None:
    """Whatever the deployment has become since, and for each user and instance, as long as the files are there."""
    folder = Folder()
    folder.files.update([earlier("redis.env", "instance default"), earlier("redis-b+reader.env", "instance b as user reader")])
    users = [{"name": "reader", "password": "reader-password"}]
    wanted = desired(instances=[endpoint(port=7000), endpoint("b", 7001)], users=users)
    notes = folder.run(wanted)
    assert 2 == len(notes)
    assert "/inventory/redis.env is the former name of a profile" in notes[0]
    assert "read /inventory/redis@node1.env instead" in notes[0]
    first, rest = folder.files["/inventory/redis.env"].split("\n", 1)
    assert first.endswith("(former name)")
    assert rest == folder.files["/inventory/redis@node1.env"].partition("\n")[2]
    grown = [desired(host, ("node1", "node2"), instances=[endpoint(port=port)]) for host, port in (("node1", 7002), ("node2", 7003))]
    folder.run(*grown)
    assert "REDIS_PORT=7002" in folder.files["/inventory/redis.env"]
    del folder.files["/inventory/redis.env"]
    assert [] == folder.run(*grown)
    assert {"redis@node1.env", "redis@node2.env"} == folder.names()


def test_former_name_of_a_group_that_grew_goes_by_the_address() -> None:
    """With a second host in the same run, the file is that of the host with its address; one of no host is named and kept."""
    folder = Folder()
    folder.files.update([earlier("redis.env", "instance default", 7001), earlier("redis-gone.env", "instance gone")])
    both = [desired(host, ("node1", "node2"), instances=[endpoint(port=port)]) for host, port in (("node1", 7000), ("node2", 7001))]
    notes = folder.run(*both)
    assert "on host node2 (former name)" in folder.files["/inventory/redis.env"]
    assert [] != [note for note in notes if note.startswith("/inventory/redis-gone.env is of an earlier version")]
    assert "redis-gone.env" in folder.names()
    shrunk = folder.run(desired(instances=[endpoint(port=7000)]))
    assert "on host node2 (former name)" in folder.files["/inventory/redis.env"]
    assert [] != [note for note in shrunk if note.startswith("/inventory/redis.env is of node2")]


@pytest.mark.parametrize("known", [True, False])
def test_instance_that_is_not_listed_keeps_its_profile_while_it_runs(known: bool) -> None:
    """Where the host was not asked, nothing is taken for gone; an instance with state absent is."""
    folder = Folder()
    folder.run(desired(instances=[endpoint(), endpoint("a"), endpoint("b")], forms=["dotenv", "ecs"]))
    folder.run(desired(kept=["a"], knows_all=known))
    left = {"redis@node1.env", "redis-a@node1.env", "redis-a@node1.dotenv", "redis-a@node1.ecs.json"}
    assert (left | (set() if known else {name.replace("-a@", "-b@") for name in left if "-a@" in name})) == folder.names()
    folder.run(desired(absent=["a", "b"], knows_all=False))
    assert {"redis@node1.env"} == folder.names()


def test_role_alone_keeps_what_other_plays_wrote() -> None:
    """Two plays that each list one server of a provider do not remove each other's profile."""
    folder = Folder()
    for name in ("queue", "shop"):
        folder.run(desired("", (), instances=[endpoint(name)], knows_all=False))
    assert {"redis-queue.env", "redis-shop.env"} == folder.names()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("REDIS_HOST=mine\n", "keyfleet did not write it"),
        ("", "keyfleet did not write it"),
        ("# Ansible managed: how applications reach instance a of deployment redis-b on host node1\n", "is of the deployment 'redis-b'"),
    ],
)
def test_file_of_another_in_the_place_of_a_profile_is_refused(text: str, words: str) -> None:
    """Its path and what to do is said; and a plan does not remove it either."""
    folder = Folder()
    folder.files["/inventory/redis@node1.env"] = text
    (problem,) = foreign_problems(desired(), folder.texts(desired()))
    assert problem.startswith("/inventory/redis@node1.env ")
    assert words in problem
    gone = desired(instances=[], absent=["default"])
    assert () == plan_profiles(gone, folder.texts(gone)).files


def test_profile_edited_by_hand_is_written_again() -> None:
    """As long as its first line says that it is keyfleet's."""
    folder = Folder()
    folder.run(desired())
    kept = dict(folder.files)
    folder.files["/inventory/redis@node1.env"] = kept["/inventory/redis@node1.env"].replace("6379", "6380") + f"X={shlex.quote('a b')}\n"
    folder.run(desired())
    assert kept == folder.files


@given(st.lists(st.tuples(st.sampled_from(HOSTS), st.sampled_from(("default", "s")), st.booleans()), min_size=1, max_size=3))
def test_client_names_the_profiles_that_were_read_into_one_environment(reads: list[tuple[str, str, bool]]) -> None:
    """The same one may be read again; two of them, whatever their variables, are refused by their names."""
    environ: dict[str, str] = {}
    for host, instance, socket in reads:
        options = {**endpoint(instance), **({"unix_socket": "/run/x"} if socket else {})}
        (file,) = plan_profiles(desired(host, instances=[options]), {}).files
        environ.update(line.split("=", 1) for line in str(file.content).splitlines()[1:])
    names = sorted({stem_of("redis", Owner(instance, host=host)) for host, instance, _unused in reads})
    if len(names) > 1:
        with pytest.raises(SettingsError, match=re.escape(" and ".join(names))):
            Settings.from_env(environ)
    elif len(set(reads)) == 1:
        assert PASSWORD == Settings.from_env(environ).password


@pytest.mark.parametrize("name", ["../x", "a/b", "a\nb", "\0"])
def test_host_whose_name_no_file_can_have_is_refused(name: str) -> None:
    """The name and the cure are said."""
    assert "ansible_host" in str(host_problem(name))
    assert None is host_problem("db1.example.org")
