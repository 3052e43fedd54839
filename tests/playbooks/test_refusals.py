"""Bad input is refused before anything is touched, naming the variable, the value found and what is allowed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from support.playbooks import ROOT, Deployment
from support.refusals import Refusal, refusals

ONE = {"name": "default", "port": 7399}


def directives(**values: Any) -> dict[str, Any]:
    """Return extra variables with directives for all instances."""
    return {"redis_server_directives": {name.replace("_", "-"): value for name, value in values.items()}}


def instances(*options: dict[str, Any]) -> dict[str, Any]:
    """Return extra variables with these instances."""
    return {"redis_server_instances": list(options)}


def cluster(deployment: str, **variables: Any) -> dict[str, Any]:
    """Return variables of a host that is a cluster, which no other host belongs to."""
    return {"redis_topology": "cluster", "redis_deployment": deployment, **variables}


def archive(**options: Any) -> dict[str, Any]:
    """Return extra variables that build from an archive, which is not there."""
    right = {
        "redis_server_install_method": "archive",
        "redis_server_version": "7.0.15",
        "redis_server_archive_source": "/nonexistent/redis.tar.gz",
        "redis_server_archive_sha256": "0" * 64,
    }
    return {**right, **options}


def repo(**options: Any) -> dict[str, Any]:
    """Return extra variables that install from a repository, which is not reached."""
    right = {
        "redis_server_install_method": "repo",
        "redis_server_repo_uri": "http://192.0.2.1/redis",
        "redis_server_repo_suite": "bookworm",
        "redis_server_repo_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
    }
    return {**right, **options}


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "variable_mistyped": ({"redis_server_pasword": "correct-horse"}, ["redis_server_pasword", "did you mean redis_server_password?"]),
    "deployment_leaves_its_folder": ({"redis_deployment": "../x"}, ["redis_deployment is '../x'", "1 to 32 of a-z"]),
    "deployment_mistyped": ({"redis_deploymnet": "cache"}, ["redis_deploymnet", "did you mean redis_deployment?"]),
    "topology": ({"redis_topology": "sentinel"}, ["redis_server_topology", "sentinel", "replication"]),
    "topology_mistyped": ({"redis_topolgy": "cluster"}, ["redis_topolgy", "did you mean redis_topology?"]),
    "cluster_databases": (cluster("a", **directives(databases=4)), ["default].directives.databases is '4'", "redis_topology is 'cluster'"]),
    "cluster_masterauth": (cluster("b", **directives(masterauth="correct-horse")), ["directives.masterauth", "leave it out"]),
    "cluster_enabled_by_hand": (directives(cluster_enabled=True), ["cluster-enabled", "set redis_topology to cluster"]),
    "cluster_bus_port_is_a_port": (
        cluster("c", **instances({"name": "x", "port": 7391}, {"name": "y", "port": 17391})),
        ["redis_server_instances[y].port is 17391, which instance 'x' has too"],
    ),
    "cluster_bus_port_too_high": (
        cluster("d", **instances({"name": "x", "port": 60000})),
        ["port is 60000", "70000", "directives.cluster-port"],
    ),
    "engine": ({"redis_server_engine": "memcached"}, ["redis_server_engine", "memcached", "valkey"]),
    "engine_not_installed": (
        {"redis_server_engine": "valkey", "redis_server_bin_dir": "/nonexistent"},
        ["valkey-server", "redis_server_bin_dir"],
    ),
    "install_method": ({"redis_server_install_method": "magic"}, ["redis_server_install_method", "magic", "distro"]),
    "distro_without_root": ({"redis_server_install_method": "distro"}, ["redis_server_install_method", "ansible_become"]),
    "service_manager": ({"redis_server_service_manager": "upstart"}, ["redis_server_service_manager", "upstart", "process"]),
    "systemd_below_a_root": ({"redis_server_service_manager": "systemd"}, ["redis_server_root", "process"]),
    "restart_policy": ({"redis_server_restart_policy": "now"}, ["redis_server_restart_policy", "now", "rolling"]),
    "root_not_absolute": ({"redis_server_root": "here"}, ["redis_server_root", "here", "absolute"]),
    "root_without_a_parent": (
        {"redis_server_root": "/proc/none/x"},
        ["redis_server_root is '/proc/none/x'", "/proc/none does not exist"],
    ),
    "score_that_only_root_can_have": (
        directives(oom_score_adj="absolute", oom_score_adj_values="-1000 0 0"),
        ["oom-score-adj-values", "-1000", "found", "relative"],
    ),
    "no_instances": (instances(), ["redis_server_instances", "at least one"]),
    "name_missing": (instances({"port": 7399}), ["name"]),
    "name_with_a_slash": (instances({"name": "../x"}), ["redis_server_instances", "../x"]),
    "name_twice": (instances(ONE, {**ONE, "port": 7398}), ["default", "twice"]),
    "port_too_high": (instances({**ONE, "port": 70000}), ["port", "70000", "65535"]),
    "port_too_low": (instances({**ONE, "port": 80}), ["port", "80", "1024"]),
    "port_is_no_number": (instances({**ONE, "port": "abc"}), ["port", "abc"]),
    "port_twice": (instances(ONE, {"name": "other", "port": 7399}), ["7399", "other", "default"]),
    "no_port_and_no_socket": (instances({**ONE, "port": 0}), ["port", "unix_socket"]),
    "socket_permissions": (instances({**ONE, "unix_socket": True, "unix_socket_perm": "999"}), ["unix_socket_perm", "999", "octal"]),
    "unknown_option": (instances({**ONE, "maxmemory": "1gb"}), ["maxmemory"]),
    "state": (instances({**ONE, "state": "gone"}), ["state", "gone", "absent"]),
    "bind_is_a_name": (instances({**ONE, "bind": ["localhost"]}), ["bind", "localhost", "addresses"]),
    "bind_is_not_of_this_host": (instances({**ONE, "bind": ["192.0.2.7"]}), ["bind", "192.0.2.7", "no address of this host"]),
    "public_without_password": (instances({**ONE, "bind": ["0.0.0.0"], "password": ""}), ["bind", "0.0.0.0", "password"]),  # noqa: S104
    "unknown_directive": (directives(maxmemry="1gb"), ["maxmemry", "maxmemory"]),
    "directive_of_the_other_engine": (directives(availability_zone="a"), ["availability-zone"]),
    "bad_size": (directives(maxmemory="1 gigabyte"), ["maxmemory", "1 gigabyte"]),
    "bad_choice": (directives(maxmemory_policy="lru"), ["maxmemory-policy", "lru", "allkeys-lru"]),
    "bad_bool": (directives(appendonly="maybe"), ["appendonly", "maybe", "true or false"]),
    "bad_integer": (directives(databases="many"), ["databases", "many"]),
    "out_of_range": (directives(databases=0), ["databases", "0"]),
    "list_where_none_is_taken": (directives(maxmemory=["1gb", "2gb"]), ["maxmemory"]),
    "bad_save": (directives(save=["3600"]), ["save", "3600"]),
    "bad_events": (directives(notify_keyspace_events="KQ"), ["notify-keyspace-events", "KQ"]),
    "reserved_port": (directives(port=7000), ["port", "instance option"]),
    "reserved_password": (directives(requirepass="s3cret-in-the-wrong-place"), ["requirepass", "password"]),
    "replication": (directives(replicaof="127.0.0.1 1"), ["replicaof", "not supported"]),
    "plain_password_of_a_user": (directives(user=["app on >s3cret-in-the-wrong-place ~* +@read"]), ["user", "plain text"]),
    "user_without_password_on_a_public_address": (
        {"redis_server_bind": ["0.0.0.0"], **directives(user=["app on nopass ~* +@all"])},  # noqa: S104
        ["bind", "0.0.0.0", "app", "nopass", "give it a password"],  # noqa: S104
    ),
    "misspelt_directive_of_a_secret": (directives(requirepas="s3cret-in-the-wrong-place"), ["requirepas", "did you mean requirepass"]),
    "needed_command_taken_away": (directives(rename_command=['INFO ""']), ["rename-command", "INFO", "needs"]),
    "too_many_clients": (directives(maxclients=2_000_000), ["maxclients", "2000000", "1048480"]),
    "socket_path_too_long": (
        {"redis_server_root": "/tmp/" + 100 * "x", **instances({**ONE, "unix_socket": True})},  # noqa: S108
        ["unix_socket", "107", "redis_server_root"],
    ),
    "unix_socket_is_text": (instances({**ONE, "unix_socket": "no"}), ["unix_socket", "no", "without quotes"]),
    "socket_permissions_are_a_number": (instances({**ONE, "unix_socket_perm": 0o770}), ["unix_socket_perm", "504", "in quotes"]),
    "bind_holds_a_number": (instances({**ONE, "bind": [1]}), ["bind", "[1]", "a list of at least one address"]),
    "bind_is_text": ({"redis_server_bind": "127.0.0.1"}, ["redis_server_bind", "127.0.0.1", "a list of at least one address"]),
    "port_is_a_bool": (instances({**ONE, "port": True}), ["port", "True", "1024"]),
    "log": (instances({**ONE, "log": "syslog"}), ["log", "syslog", "manager"]),
    "log_for_all": ({"redis_server_log": "syslog"}, ["redis_server_log", "syslog", "manager"]),
    "log_keep_days": ({"redis_server_log_keep_days": -1}, ["redis_server_log_keep_days", "-1"]),
    "memory_percent": ({"redis_server_memory_percent": 95}, ["redis_server_memory_percent", "95", "0 to 90"]),
    "use": (instances({**ONE, "use": "queue"}), ["use", "queue", "mixed"]),
    "no_memory_left": (
        instances({**ONE, "directives": {"maxmemory": "100000gb"}}, {"name": "second", "port": 7398}),
        ["redis_server_instances[second]", "names no maxmemory", "nothing is left", "redis_server_memory_percent is 60"],
    ),
    "purge_is_text": (instances({**ONE, "purge": "no"}), ["purge", "no", "without quotes"]),
    "password_is_a_number": ({"redis_server_password": 123456789}, ["redis_server_password", "quotes"]),
    "password_is_a_list": (instances({**ONE, "password": ["s3cret-in-the-wrong-place"]}), ["password", "quotes"]),
    "password_is_short": ({"redis_server_password": "short"}, ["redis_server_password", "5 characters", "8"]),
    "password_in_a_name": (
        {"redis_server_password": "sessions", **instances({**ONE, "name": "sessions-eu"})},
        ["redis_server_password", "instance name"],
    ),
    "version_that_nothing_installs": (
        {"redis_server_version": "5:7.0.15-1", "redis_server_install_method": "none"},
        ["redis_server_version", "5:7.0.15-1", "redis_server_install_method", "none"],
    ),
    "repo_without_address_and_key": (
        {"redis_server_install_method": "repo", "redis_server_repo_suite": "bookworm"},
        ["redis_server_repo_uri", "https://mirror.example.org/redis", "redis_server_repo_key is not given", "ASCII-armored"],
    ),
    "repo_with_a_login": (
        repo(redis_server_repo_uri="https://me:s3cret-in-the-wrong-place@mirror.example.org/"),
        ["redis_server_repo_uri", "auth.conf.d"],
    ),
    "repo_with_a_private_key": (
        repo(redis_server_repo_key="-----BEGIN PGP PRIVATE KEY BLOCK-----\ns3cret-in-the-wrong-place"),
        ["redis_server_repo_key holds something else", "public key"],
    ),
    "repo_key_that_is_no_file": (
        repo(redis_server_repo_key="/nonexistent/key.asc"),
        ["redis_server_repo_key", "/nonexistent/key.asc", "controller"],
    ),
    "repo_flat_with_components": (repo(redis_server_repo_suite="./"), ["redis_server_repo_components", "main", "./"]),
    "repo_without_root": (repo(), ["redis_server_install_method is 'repo'", "ansible_become"]),
    "archive_without_version_and_source": (
        {"redis_server_install_method": "archive"},
        [
            "redis_server_version is ''",
            "7.0.15",
            "redis_server_archive_source is ''",
            "redis_server_archive_sha256 is ''",
            "64 of 0-9 and a-f",
        ],
    ),
    "archive_with_a_package_version": (archive(redis_server_version="5:7.0.15-1"), ["redis_server_version", "5:7.0.15-1", "7.0.15"]),
    "archive_with_a_login": (
        archive(redis_server_archive_source="https://me:s3cret-in-the-wrong-place@mirror.example.org/redis.tar.gz"),
        ["redis_server_archive_source holds a login"],
    ),
    "archive_flag_of_the_role": (
        archive(redis_server_archive_make_flags=["BUILD_TLS=no"]),
        ["redis_server_archive_make_flags", "BUILD_TLS=no", "decided by the role"],
    ),
    "archive_flag_of_no_form": (archive(redis_server_archive_make_flags=["-j8"]), ["redis_server_archive_make_flags", "-j8", "NAME=VALUE"]),
    "archive_keeps_too_few": (archive(redis_server_archive_keep=1), ["redis_server_archive_keep is 1", "2 or more"]),
    "root_is_a_file": ({"redis_server_root": "/etc/passwd"}, ["redis_server_root is '/etc/passwd', and /etc/passwd is no folder"]),
    "state_dir_below_a_file": (
        {"redis_server_state_dir": "/etc/passwd/x"},
        ["redis_server_state_dir is '/etc/passwd/x', and /etc/passwd is no folder"],
    ),
    "profile_below_a_file": (
        {"redis_endpoint_path": "/etc/passwd/x.env"},
        ["redis_endpoint_path is '/etc/passwd/x.env'", "/etc/passwd is no folder"],
    ),
    "profile_where_nothing_is_kept": ({"redis_endpoint_path": "/proc/redis.env"}, ["redis_endpoint_path is '/proc/redis.env'", "/proc"]),
    "somaxconn": ({"redis_host_somaxconn": 0}, ["redis_host_somaxconn is 0: give 1 to 65535"]),
    "state_dir_not_absolute": ({"redis_server_state_dir": "secrets"}, ["redis_server_state_dir", "secrets"]),
}


@pytest.fixture(scope="module")
def refused() -> Iterator[dict[str, Refusal]]:
    """What each case got; that neither a host nor the controller has a file more than before was checked for all of them."""
    with refusals({name: extra for name, (extra, _words) in REFUSED.items()}) as found:
        yield found


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_touched(refused: dict[str, Refusal], name: str) -> None:
    """The run fails with a message that helps, and neither host nor controller has a file more than before."""
    found, (_extra, words) = refused[name], REFUSED[name]
    assert 2 == found.run.rc
    assert [] == [word for word in words if word not in found.failures], found.failures
    assert "s3cret-in-the-wrong-place" not in found.run.output
    assert [] == found.changed


def test_running_deployment_is_not_touched_by_a_refused_change(deployed: Deployment, port: int) -> None:
    """A refused change leaves the running server, its files and its process as they are."""
    before = deployed.tree()
    with deployed.client(port) as client:
        pid = client.info("server")["process_id"]
        assert 2 == deployed.run(redis_server_directives={"maxmemory-policy": "lru"}).rc
        assert pid == client.info("server")["process_id"]
    assert before == deployed.tree()


def test_foreign_server_on_the_port_is_named(deployment: Deployment, port: int) -> None:
    """A foreign server that holds the port is named by program and process, and kept."""
    foreign = subprocess.Popen(
        [str(shutil.which("redis-server")), "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(deployment.folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        with deployment.client(port, password=None) as client:
            _wait_for(client)
            deployment.write()
            before = deployment.tree()
            run = deployment.run()
            assert 2 == run.rc
            assert f"port is {port}" in run.failures
            assert before == deployment.tree()
            assert foreign.pid == client.info("server")["process_id"]
    finally:
        foreign.terminate()
        foreign.wait(10)


def test_port_of_an_instance_that_leaves_is_free(deployed: Deployment, port: int) -> None:
    """An instance gets another name in one run: the old one ends before the new one starts on its port."""
    with deployed.client(port) as client:
        before = client.info("server")["process_id"]
    renamed = instances({"name": "new", "port": port}, {"name": "default", "state": "absent"})
    run = deployed.run(**renamed).ok()
    with deployed.client(port) as client:
        assert before != client.info("server")["process_id"]
        assert client.config_get("dir")["dir"].endswith("/new")
    assert [["default", "removed"], ["new", "started"]] == sorted(
        [one["name"], one["action"]] for one in run.result("redis_instances")["instances"]
    )


def test_hosts_of_different_topology_are_refused(deployment: Deployment) -> None:
    """Every host of the deployment is named with what it says; a host of another deployment is not."""
    deployment.hosts = ("node1", "node2", "node3")
    deployment.host_variables = {"node1": {"redis_topology": "cluster"}, "node3": {"redis_deployment": "other"}}
    deployment.write()
    before = deployment.tree()
    run = deployment.run()
    assert (2, before, []) == (run.rc, deployment.tree(), run.changed)
    assert "single on node2; cluster on node1. " in run.failures


def test_a_part_of_a_topology_is_refused(deployment: Deployment) -> None:
    """``--limit`` would plan with members missing."""
    deployment.hosts = ("node1", "node2")
    deployment.variables["redis_topology"] = "replication"
    deployment.write()
    before = deployment.tree()
    run = deployment.run("--limit", "node1")
    assert (2, before, []) == (run.rc, deployment.tree(), run.changed)
    assert [] == [words for words in ("--limit leaves out node2", "--tags verify") if words not in run.failures], run.failures
    assert "--limit" not in deployment.run("--limit", "node1", "--tags", "verify").failures


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"redis_cluster_replicas": 2}, ["6 nodes are too few", "3 shards with 2 replicas each need 9"]),
        ({"redis_cluster_weight": 0}, ["weight is 0"]),
        ({"redis_cluster_replica": 1}, ["redis_cluster_replica", "did you mean redis_cluster_replicas?"]),
    ],
)
def test_hosts_that_cannot_be_a_cluster_are_refused(deployment: Deployment, variables: dict[str, Any], words: list[str]) -> None:
    """Before a host is asked."""
    nodes = [{"name": f"n{number}", "port": 7390 + number} for number in range(6)]
    deployment.variables = {"redis_topology": "cluster", **instances(*nodes), **variables}
    deployment.write()
    before = deployment.tree()
    run = deployment.run()
    assert (2, before, []) == (run.rc, deployment.tree(), run.execs)
    assert [] == [word for word in words if word not in run.failures], run.failures


def test_hosts_at_one_address_are_refused(deployment: Deployment) -> None:
    """Hosts that all listen on 127.0.0.1 are none that the others reach."""
    deployment.hosts = ("node1", "node2", "node3")
    deployment.variables = {"redis_topology": "cluster", **instances({"name": "a", "port": 7390}, {"name": "b", "port": 7391})}
    run = deployment.run()
    assert (2, []) == (run.rc, run.execs)
    assert "node1/a and node2/a at the same place, 127.0.0.1:7390" in run.failures


def test_two_names_of_one_root_are_refused(deployment: Deployment) -> None:
    """Both are named, whatever their order, and nothing is touched."""
    deployment.hosts = ("node1", "node2")
    deployment.write()
    before = deployment.tree()
    run = deployment.run(redis_server_root=str(deployment.root()))
    assert 2 == run.rc
    assert f"node1 and node2 are one machine with one redis_server_root ({deployment.root()})" in run.failures
    assert (before, []) == (deployment.tree(), run.changed)


def test_foreign_listener_on_the_socket_is_named(deployment: Deployment) -> None:
    """A foreign process that listens on the path of the socket is kept."""
    path = deployment.root() / "run/keyfleet/default/server.sock"
    deployment.write()
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        foreign.listen()
        run = deployment.run(**instances({"name": "default", "port": 0, "unix_socket": True}))
    assert 2 == run.rc
    assert [] == [words for words in ("unix_socket", str(path), "listens there already") if words not in run.failures], run.failures


def test_socket_instance_runs_again_unchanged(deployment: Deployment) -> None:
    """Its own process on the socket is no foreign one."""
    only_socket = instances({"name": "default", "port": 0, "unix_socket": True})
    deployment.run(**only_socket).ok()
    assert [] == deployment.run(**only_socket).ok().changed


def test_inventory_without_hosts_says_so(deployment: Deployment) -> None:
    """An inventory without the group redis is an error, not a run that does nothing."""
    deployment.write()
    (deployment.inventory / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"node1": {"ansible_connection": "local"}}}}))
    run = subprocess.run(deployment.command(), capture_output=True, text=True, check=False, cwd=ROOT, env=deployment.environ())
    assert 0 != run.returncode
    assert "group" in run.stdout + run.stderr


def test_folder_in_the_place_of_the_lock_is_named(deployment: Deployment) -> None:
    """Where no lock can be kept, the path and the reason are said."""
    deployment.write()
    lock = deployment.inventory / ".keyfleet/redis/run.lock"
    lock.mkdir(parents=True)
    run = deployment.run()
    assert 2 == run.rc
    assert [] == [words for words in (str(lock), "Is a directory", "name a file") if words not in run.failures], run.failures
    assert "Errno" not in run.failures


def _wait_for(client: Any) -> None:
    for _unused in range(100):
        try:
            client.ping()
        except redis.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the foreign server did not start")
