"""Profiles in all forms, of several instances and users side by side: each lets in the user that it names, and no other."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.settings import Settings
from support.playbooks import Deployment, free_port
from support.profiles import READERS

ARNS = {name: f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}" for name in ("default", "sessions", "reader")}
READER = {"name": "reader", "password": """it's a "reader's" $HOME `x` \\ a #b é"""}
FORMS = ["dotenv", "systemd", "kubernetes", "ecs", "compose"]
# The files of a form that hold a password.
SECRET = (".env", ".dotenv", ".service.env", ".secret.yml", ".compose.yml")


def desired(port: int, other: int) -> dict[str, Any]:
    """Return extra variables: two instances, one user of both who may only read, all forms."""
    user = "reader on #{{ redis_endpoint_users[0].password | hash('sha256') }} ~* &* +@read +@connection +info +acl|whoami"
    return {
        "redis_server_directives": {"user": [user]},
        "redis_server_instances": [{"name": "default", "port": port}, {"name": "sessions", "port": other, "password": "sessions' own $1"}],
        "redis_endpoint_forms": FORMS,
        "redis_endpoint_users": [{**READER, "ecs_secret_arn": ARNS["reader"]}],
        "redis_endpoint_ecs_secret_arns": {name: ARNS[name] for name in ("default", "sessions")},
    }


def files(deployment: Deployment) -> dict[str, Path]:
    """Return the files of all profiles, by name."""
    hidden = deployment.inventory / ".keyfleet/profiles"
    return {path.name: path for folder in (deployment.inventory, hidden) for path in folder.glob("redis*") if path.is_file()}


def test_every_form_lets_in_whom_it_names(deployment: Deployment, port: int) -> None:
    """
    Read by its own consumer, each profile connects to its server as its user; the reader cannot write.

    No password is in the output, and a second run changes nothing.
    """
    other = free_port()
    run = deployment.run("-vvv", "--diff", **desired(port, other)).ok()
    assert [] == [needle for needle in ("$HOME `x`", "own $1", deployment.password()) if needle in run.output]
    assert f"Profiles as {', '.join(FORMS)}: {deployment.inventory}/.keyfleet/profiles" in run.output
    secrets = {ARNS["default"]: deployment.password(), ARNS["sessions"]: "sessions' own $1", ARNS["reader"]: READER["password"]}
    found = files(deployment)
    ports = {"redis": port, "redis-sessions": other}
    assert len(ports) * 2 * (len(FORMS) + 2) == len(found)  # the env file, and Kubernetes has two
    for instance, wanted_port in ports.items():
        for user in ("default", "reader"):
            stem = f"{instance if user == 'default' else f'{instance}+{user}'}@node1"
            for form, read in READERS.items():
                folder = deployment.inventory / ("" if form == "shell" else ".keyfleet/profiles")
                client = connect(Settings.from_env(read(folder / stem, secrets)))
                assert [user, wanted_port] == [client.acl_whoami(), int(client.info("server")["tcp_port"])], (form, stem)
                if user == "reader":
                    with pytest.raises(redis.exceptions.NoPermissionError):
                        client.set("written", "no")
                close(client)
    for name, path in found.items():
        assert (0o600 if name.endswith(SECRET) else 0o644) == stat.S_IMODE(path.stat().st_mode), name
        text = path.read_text(encoding="utf-8")
        assert deployment.password() not in text or ("+reader" not in name and "sessions" not in name and name.endswith(SECRET)), name
    again = deployment.run(**desired(port, other)).ok()
    assert [] == again.changed, again.result("redis_instances")

    fewer = {**desired(port, other), "redis_endpoint_forms": ["dotenv"]}
    fewer["redis_server_instances"][1]["state"] = "absent"
    deployment.run(**fewer).ok()
    assert {f"redis{user}@node1{ending}" for user in ("", "+reader") for ending in (".env", ".dotenv")} == set(files(deployment))


def test_profiles_of_a_managed_server_need_no_deployment(deployment: Deployment, password_server: Any) -> None:
    """The role alone, for a server that something else runs: the same forms, with the user and password that are given."""
    endpoint = {"name": "shop", "host": password_server.host, "port": password_server.port, "password": password_server.password}
    variables = {"redis_endpoint_instances": [endpoint], "redis_endpoint_forms": ["dotenv", "kubernetes"]}
    playbook = deployment.folder / "play.yml"
    role = {"ansible.builtin.import_role": {"name": "redis_endpoint"}}
    play = {"hosts": "redis", "gather_facts": False, "tasks": [role]}
    playbook.write_text(f"[{play!r}]".replace("False", "false"), encoding="utf-8")
    deployment.run(playbook=str(playbook), **variables).ok()
    for form in ("dotenv", "kubernetes"):
        client = connect(Settings.from_env(READERS[form](deployment.inventory / ".keyfleet/profiles/redis-shop", {})))
        assert client.ping()
        close(client)


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "form": ({"redis_endpoint_forms": ["xml"], "redis_endpoint_users": [READER]}, ["redis_endpoint_forms", "xml", "kubernetes"]),
    "folder": (
        {"redis_endpoint_forms": ["dotenv"], "redis_endpoint_forms_folder": "/proc/none"},
        ["redis_endpoint_forms_folder is '/proc/none'", "exists"],
    ),
    "arn": ({"redis_endpoint_forms": ["ecs"]}, ["redis_endpoint_ecs_secret_arns[default] is ''", "arn:aws:secretsmanager"]),
    "user": ({"redis_endpoint_users": [READER]}, ["redis_endpoint_users[reader]", "instance default has no such user"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_a_host_is_asked(deployment: Deployment, name: str) -> None:
    """The variable, the value and what is allowed are named; nothing was touched."""
    extra, words = REFUSED[name]
    run = deployment.run("-vvv", **extra)
    assert 2 == run.rc
    assert [] == [word for word in words if word not in run.failures], run.failures
    assert "$HOME `x`" not in run.output
    assert [] == run.execs
    assert {} == deployment.tree()
