"""TLS on one node: on, alone, off again, renewed and with another CA, under clients that write; and who is refused."""

from __future__ import annotations

import shlex
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.keyfleet.redis.plugins.plugin_utils.x509 import certificates_in, issue, make_ca
from keyfleet import Client, Settings
from keyfleet.core.errors import CertificateError, UnreachableError
from support.load import Load
from support.playbooks import Deployment, Run, deployments, free_port

EXECS_OF_A_RERUN = 3
PACE_SECONDS = 0.02  # between the calls of a writer, which share the machine with the run
ROTATE = "playbooks/rotate_tls.yml"


class Secured:
    """One deployment whose instance has two ports to choose from."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.port, self.secure_port = deployment, free_port(), free_port()
        self.written: set[str] = set()

    def state(self, **options: Any) -> None:
        """Let the inventory say how the instance listens."""
        self.deployment.variables["redis_server_instances"] = [{"name": "default", "port": self.port, **options}]

    def run(self, *arguments: str, playbook: str = "site.yml", **extra: Any) -> Run:
        """Run a playbook that must go well."""
        return self.deployment.run(*arguments, playbook=playbook, **extra).ok()

    def key_lines(self) -> set[str]:
        """Return the lines of every key that there is."""
        texts = [path.read_text() for path in self.deployment.folder.rglob("*.pem")]
        keys = [text.partition("PRIVATE KEY-----\n")[2].partition("-----END")[0] for text in texts]
        return {line for key in keys for line in key.splitlines() if line}

    def settings(self) -> Settings:
        """Return what an application reads in the profile."""
        text = (self.deployment.inventory / "redis@node1.env").read_text(encoding="utf-8")
        return Settings.from_env(dict(word.partition("=")[::2] for word in shlex.split(text, comments=True)))

    def writer(self, name: str, client: Client) -> Load:
        """Return load whose acknowledged keys are remembered; its connection is the client's own."""

        def write(number: int) -> None:
            key = f"{name}:{number}"
            client.set(key, str(number))
            self.written.add(key)
            time.sleep(PACE_SECONDS)

        return Load([write])

    def missing(self) -> set[str]:
        """Return acknowledged keys that are not there."""
        with Client.from_settings(self.settings()) as client:
            return {key for key in self.written if client.get(key) is None}

    def shown(self) -> bytes:
        """Return the certificate that the server shows."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        plain = socket.create_connection(("127.0.0.1", self.secure_port), 5)
        with context.wrap_socket(plain, server_hostname="node1") as secure:
            found = secure.getpeercert(binary_form=True)
            assert found is not None
            return found

    @property
    def ca_file(self) -> Path:
        """What clients trust."""
        return self.deployment.inventory / "redis@node1.ca.pem"

    def pid(self) -> int:
        """Return the server's process."""
        settings = self.settings()
        secure: dict[str, Any] = {"ssl": True, "ssl_ca_certs": settings.tls_ca_file} if settings.tls else {}
        with self.deployment.client(settings.port, host="127.0.0.1", **secure) as client:
            return int(client.info("server")["process_id"])


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    """A deployment without TLS."""
    for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found = Secured(deployment)
        found.state()
        found.run()
        yield found


def test_a_deployment_moves_to_tls_and_back(secured: Secured) -> None:
    """Both ports, clients move, TLS alone, and the way back: no call fails, no write is lost, and the process stays."""
    pid = secured.pid()
    with Client.from_settings(secured.settings()) as plain, secured.writer("plain", plain) as first:
        secured.state(tls="both", tls_port=secured.secure_port)
        secured.run()
        assert (True, secured.secure_port) == (secured.settings().tls, secured.settings().port)
        moved = Client.from_settings(secured.settings())
        second = secured.writer("secure", moved)
        second.__enter__()
    secured.state(tls="only", tls_port=secured.secure_port)
    secured.run()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", secured.port), 5)
    again = secured.run()
    assert [] == again.changed
    assert len(again.execs) <= EXECS_OF_A_RERUN, again.execs
    secured.state(tls="both", tls_port=secured.secure_port)
    secured.run()
    second.__exit__(None, None, None)
    moved.close()
    secured.state()
    secured.run()
    assert not secured.settings().tls
    assert [] == [error for load in (first, second) for worker in load.workers for error in worker.errors]
    assert all(worker.done for load in (first, second) for worker in load.workers)
    assert set() == secured.missing()
    assert pid == secured.pid()
    assert not list(secured.deployment.root().rglob("*.pem"))
    assert not secured.ca_file.exists()


@pytest.fixture(scope="module")
def only(secured: Secured) -> Secured:
    """The deployment with TLS alone."""
    secured.state(tls="only", tls_port=secured.secure_port)
    secured.run()
    return secured


def test_the_key_is_of_the_service_alone(only: Secured) -> None:
    """On the host and on the controller."""
    (pem,) = only.deployment.root().rglob("tls.pem")
    assert 0o640 == pem.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (only.deployment.inventory / ".keyfleet/redis/tls").rglob("*.pem")}


def test_verify_alone_keeps_the_profile(only: Secured) -> None:
    """It reads the certificates, and neither makes nor renews one."""
    assert [] == only.run(playbook="playbooks/verify.yml").changed
    assert only.settings().tls_ca_file


def test_who_cannot_know_the_server_is_refused(only: Secured, tmp_path: Path) -> None:
    """Another CA, another name, and a client without TLS, each with an error that says so."""
    settings = only.settings()
    common: dict[str, Any] = {"port": settings.port, "password": settings.password, "timeout_seconds": 3, "retry_attempts": 0}
    other = tmp_path / "other.pem"
    context = ssl.create_default_context()
    other.write_text(ssl.DER_cert_to_PEM_cert(context.get_ca_certs(binary_form=True)[0]))
    with Client.from_settings(Settings(tls=True, tls_ca_file=str(other), **common)) as client, pytest.raises(CertificateError):
        client.ping()
    named = Settings(host="127.0.0.2", tls=True, tls_ca_file=settings.tls_ca_file, **common)
    with Client.from_settings(named) as client, pytest.raises((CertificateError, UnreachableError)):
        client.ping()
    with Client.from_settings(Settings(**common)) as client, pytest.raises(UnreachableError):
        client.ping()


def test_certificates_are_issued_again_under_load(only: Secured) -> None:
    """The server shows another certificate, without a restart and without a call that fails; no output shows a key."""
    pid, before, keys = only.pid(), only.shown(), only.key_lines()
    with Client.from_settings(only.settings()) as client, only.writer("renewed", client) as load:
        shown = only.run("-vvv", "--diff", playbook=ROTATE)
    assert [] == load.workers[0].errors
    assert before != only.shown()
    assert [] == [line for line in keys | only.key_lines() if line in shown.output]
    assert len(keys | only.key_lines()) > len(keys) > 4
    assert pid == only.pid()
    assert [] == only.run().changed
    assert set() == only.missing()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Kill a change of the CA after each of its changes with ``--full``, else after one of the second phase."""
    if "killed" in metafunc.fixturenames:
        changes = range(1, 8) if metafunc.config.getoption("full") else (5,)
        metafunc.parametrize("killed", ["", *(f"changed:{number}" for number in changes)])


@pytest.mark.slow
def test_the_ca_changes_under_load(only: Secured, killed: str) -> None:
    """Both are trusted, then the new one signs, then it alone is trusted; a run that is killed in between is ended by the next one."""
    pid, before = only.pid(), only.ca_file.read_text()
    with Client.from_settings(only.settings()) as client, only.writer(f"ca {killed}", client) as load:
        if killed:
            only.deployment.variables["redis_tls_rotate"] = "ca"
            assert only.deployment.killed_after(killed, playbook=ROTATE)
            del only.deployment.variables["redis_tls_rotate"]
            only.run()
        else:
            only.run(playbook=ROTATE, redis_tls_rotate="ca")
    assert [] == load.workers[0].errors
    after = only.ca_file.read_text()
    assert before != after
    assert 1 == after.count("BEGIN CERTIFICATE")
    only.shown()
    assert pid == only.pid()
    assert [] == only.run().changed
    assert set() == only.missing()


BAD: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "servers": {
        "bool": ({"redis_server_tls": False}, "redis_server_tls is False"),
        "port": ({"redis_server_tls": "both"}, "give two ports"),
        "directive": ({"redis_server_directives": {"tls-port": 7000}}, "use the instance options tls and tls_port"),
    },
    "variables": {
        "source": ({"redis_server_tls": "only", "redis_tls_source": ""}, "redis_tls_source"),
        "files": ({"redis_server_tls": "only", "redis_tls_source": "files"}, "redis_tls_ca_file is ''"),
        "cipher": ({"redis_tls_ciphers": "RUBBISH"}, "OpenSSL knows none of it"),
        "name": ({"redis_tls_names": ["a b"]}, "redis_tls_names has 'a b'"),
        "clients": ({"redis_tls_clients": False}, "redis_tls_clients"),
    },
    "files": {
        "key": (
            {
                "redis_server_tls": "only",
                "redis_tls_source": "ca",
                **dict.fromkeys(["redis_tls_ca_file", "redis_tls_ca_key_file"], "/etc/hostname"),
            },
            "a key that others can read",
        ),
    },
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_before_anything_is_touched(deployment: Deployment, kind: str) -> None:
    """Each with the variable and the value found."""
    deployment.hosts = tuple(BAD[kind])
    deployment.host_variables = {host: {**variables, "redis_deployment": host} for host, (variables, _words) in BAD[kind].items()}
    run = deployment.run(playbook="playbooks/validate.yml")
    assert 0 != run.rc
    for host, (_variables, words) in BAD[kind].items():
        assert words in run.of(host).failures, run.of(host).failures or run.output[-3000:]
    assert not list(deployment.inventory.rglob("*.pem"))
    assert {} == {path: state for path, state in deployment.tree().items() if path.count("/") > 4}


UNFIT_HOSTS = ("node1", "node2", "node3")
# Files of certificates that cannot be used, for a topology: files of the folder, and what the run says.
UNFIT: dict[str, tuple[dict[str, str], str]] = {
    "key of another": ({"key_file": "other.pem"}, "the key is of another certificate"),
    "no such name": ({"certificate_file": "other.pem", "key_file": "other.pem"}, "clients use cache1.example.org"),
    "leaf as CA": ({"ca_file": "leaf.crt"}, "it is no CA but the certificate of a host"),
    "expired CA": ({"ca_file": "expired.crt"}, "it expired on"),
    "readable key": ({"key_file": "readable.pem"}, "a key that others can read"),
}


@pytest.mark.parametrize("topology", ["cluster", "replication"])
def test_certificates_that_do_not_fit_are_refused_for_topologies(deployment: Deployment, topology: str, tmp_path: Path) -> None:
    """Each with the variable and the reason, before any host is touched; the announced name must be in the certificate."""
    ca = make_ca("a CA", 30)
    names = [*UNFIT_HOSTS, "127.0.0.1", *(f"cache{number}.example.org" for number in range(1, 7))]
    texts = {
        "leaf.pem": issue(ca, "cache", names, 10),
        "other.pem": issue(ca, "cache", ["127.0.0.1"], 10),
        "ca.crt": certificates_in(ca)[0],
        "expired.crt": certificates_in(make_ca("an old CA", 0))[0],
    }
    texts = {**texts, "readable.pem": texts["leaf.pem"], "leaf.crt": certificates_in(texts["leaf.pem"])[0]}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o644 if name == "readable.pem" else 0o600)
    announces = "cluster-announce-hostname" if topology == "cluster" else "replica-announce-ip"
    fit = {"ca_file": "ca.crt", "certificate_file": "leaf.pem", "key_file": "leaf.pem"}
    deployment.hosts = UNFIT_HOSTS[: 3 if topology == "cluster" else 2]
    port = free_port()
    for number, host in enumerate(deployment.hosts, 1):
        directives = {announces: f"cache{number}.example.org"}
        if topology == "cluster":
            directives["cluster-preferred-endpoint-type"] = "hostname"
        instance = {"name": "default", "port": port + number, "directives": directives}
        deployment.host_variables[host] = {"redis_server_instances": [instance]}
    common = {"redis_topology": topology, "redis_cluster_replicas": 0, "redis_server_tls": "only", "redis_tls_source": "files"}
    for change, words in UNFIT.values():
        files = {f"redis_tls_{name}": str(tmp_path / file) for name, file in {**fit, **change}.items()}
        deployment.variables = {**common, **files}
        run = deployment.run(playbook="playbooks/validate.yml")
        assert 0 != run.rc
        assert words in run.failures, run.failures or run.output[-3000:]
        assert {} == {path: state for path, state in deployment.tree().items() if path.count("/") > 4}
    deployment.variables = {**common, **{f"redis_tls_{name}": str(tmp_path / file) for name, file in fit.items()}}
    deployment.run(playbook="playbooks/validate.yml").ok()
