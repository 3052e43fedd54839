# SPDX-License-Identifier: MIT
"""TLS of a running server: switched, renewed and given up live, restarted with its keys, and continued after every crash."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ansible_collections.keyfleet.redis.plugins.filter.server import server_plan
from ansible_collections.keyfleet.redis.plugins.plugin_utils.x509 import certificates_in, fingerprint, issue, make_ca
from keyfleet.core.instance.host_files import complete
from keyfleet.core.instance.maxmemory import Memory
from keyfleet.core.instance.model import Instance, from_options
from keyfleet.core.instance.proof import failures, prove
from keyfleet.core.tls.certificates import shown_fingerprint
from keyfleet.testing._server import free_port
from support.instances import PASSWORD, LiveInstance

ON_EVERY_SERVER = True
NAMES = ("localhost", "127.0.0.1")


class SecureInstance(LiveInstance):
    """An instance to which a CA has given a certificate."""

    def __init__(self, root: Path, engine: str) -> None:
        super().__init__(root, engine)
        self.ca = make_ca("a CA", 30)
        self.material: dict[str, Any] = {"directives": {"tls-auth-clients": "optional", "tls-protocols": "TLSv1.2 TLSv1.3"}}
        self.secure_port = free_port("127.0.0.1")
        self.give()

    def give(self, days: int = 10) -> str:
        """Issue another certificate; return its digest."""
        self.material.update(pem=issue(self.ca, "cache", NAMES, days), ca=certificates_in(self.ca)[0])
        return fingerprint(self.material["pem"])

    @property
    def instance(self) -> Instance:
        """The desired instance, as the modules get it."""
        variables = {"instances": [{**self.options, "directives": self.directives}], "root": self.host.root, "tls_material": self.material}
        (options,) = server_plan(variables)
        (found,) = complete(self.host, [from_options(options)], Memory())
        return found

    def listen(self, **options: Any) -> None:
        """Let the inventory say how it listens, and do it; then it is proven, and nothing is left to do."""
        self.say(**options)
        assert not self.settle().restart_needed
        self.prove()

    def say(self, **options: Any) -> None:
        """Let the inventory say how it listens."""
        self.options = {**{name: value for name, value in self.options.items() if not name.startswith("tls")}, **options}

    def prove(self) -> None:
        """Prove it as a run does, and that another run would do nothing."""
        assert [] == failures(prove(self.host, [self.instance], write_probe=True))
        again = self.settle(check=True)
        assert ("unchanged", False) == (again.action, again.upkeep), again

    def shown(self) -> str:
        """Return the digest of the certificate that the server shows."""
        return shown_fingerprint("127.0.0.1", self.instance.secure_port)

    def client(self, **options: Any) -> redis.Redis:
        """Return a client, with TLS where there is nothing else."""
        port, secure = self.instance.plain_port or self.instance.secure_port, not self.instance.plain_port
        if "unix_socket_path" in options or not secure:
            return super().client(**{"port": port, **options} if not secure else options)
        ca = Path(self.host.root) / "test-ca.pem"
        ca.write_text("".join(certificates_in(self.ca)))
        return redis.Redis(
            **{
                "host": "127.0.0.1",
                "port": port,
                "password": PASSWORD,
                "decode_responses": True,
                "ssl": True,
                "ssl_ca_certs": str(ca),
                **options,
            }
        )


@pytest.fixture
def secure(redis_engine: str) -> Iterator[SecureInstance]:
    """An instance that is not deployed yet; its folder has a short path, since unix sockets need one."""
    with tempfile.TemporaryDirectory(prefix="kf-", dir="/tmp") as folder:
        instance = SecureInstance(Path(folder), redis_engine)
        yield instance
        instance.end()


def test_ports_change_live_in_every_direction(secure: SecureInstance) -> None:
    """Between all ways to listen, on the same numbers too; the process stays, and so do its keys."""
    secure.listen()
    secure.fill()
    pid = secure.manager.status().pid
    both, alone = {"tls": "both", "tls_port": secure.secure_port}, {"tls": "only", "tls_port": secure.secure_port}
    for options in (both, alone, both, {"tls": "only"}, both, {"tls": "only"}, {}, alone, {}):
        secure.listen(**options)
        assert 100 == secure.keys()
    assert pid == secure.manager.status().pid
    assert not Path(secure.layout.tls_file).exists()
    assert not Path(secure.layout.tls_ca_file).exists()


def test_a_restart_with_tls_counts_keys_and_opens_the_port(secure: SecureInstance) -> None:
    """A server with TLS alone is started without any port too, until its keys are there."""
    secure.listen(tls="only")
    secure.fill()
    done = secure.apply(databases=4)
    assert done is not None
    assert (100, 100) == (done.keys_before, done.keys)
    secure.prove()
    secure.power_off()
    secure.settle()
    secure.prove()


def test_another_certificate_is_loaded_without_a_restart(secure: SecureInstance) -> None:
    """Foreseen, carried out, and not again."""
    secure.listen(tls="only")
    pid, expected = secure.manager.status().pid, secure.give()
    with secure.client() as kept:
        kept.ping()
        assert ["load its certificate again"] == secure.settle(check=True).steps
        secure.settle()
        kept.ping()
    assert expected == secure.shown()
    assert pid == secure.manager.status().pid
    secure.prove()


def test_one_that_expired_can_be_replaced(secure: SecureInstance) -> None:
    """The host knows the certificate that it was given, although nothing else would accept it."""
    secure.give(days=0)
    secure.say(tls="only")
    secure.settle()
    assert failures(prove(secure.host, [secure.instance], write_probe=True))
    expected = secure.give()
    secure.settle()
    assert expected == secure.shown()
    secure.prove()


def test_another_ca_is_loaded(secure: SecureInstance) -> None:
    """Although the server shows a certificate of the former one while it is reconfigured."""
    secure.listen(tls="only")
    secure.ca = make_ca("another CA", 30)
    expected = secure.give()
    secure.settle()
    assert expected == secure.shown()
    secure.prove()


STEPS = {
    "write_files": {"tls": "only"},
    "set_live": {"tls": "only"},
    "write_record": {"tls": "only"},
    "reload_tls": {"tls": "both"},
    "forget_tls": {},
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_is_continued(secure: SecureInstance, step: str) -> None:
    """Before each step: the next run finds the server wherever it listens, and does the rest."""
    if step in ("reload_tls", "forget_tls"):
        secure.listen(tls="both", tls_port=secure.secure_port)
        secure.give()
    else:
        secure.listen()
    secure.fill()
    pid = secure.manager.status().pid
    secure.say(**STEPS[step], **({"tls_port": secure.secure_port} if STEPS[step] else {}))
    assert secure.killed_before(step, secure.settle)
    secure.settle()
    secure.prove()
    assert 100 == secure.keys()
    assert pid == secure.manager.status().pid


def test_a_crash_between_file_and_reload_starts_with_the_new_one(secure: SecureInstance) -> None:
    """Certificate and key are one file, so a start never finds two that do not match."""
    secure.listen(tls="only")
    expected = secure.give()
    assert secure.killed_before("reload_tls", secure.settle)
    secure.power_off()
    secure.settle()
    assert expected == secure.shown()
    secure.prove()


def test_clients_that_must_show_a_certificate(secure: SecureInstance) -> None:
    """The host shows its own, also while another is loaded and after a restart; a client without one is refused."""
    secure.material["directives"] = {"tls-auth-clients": "yes", "tls-protocols": "TLSv1.3"}
    secure.listen(tls="only")
    expected = secure.give()
    secure.settle()
    assert expected == shown_fingerprint("127.0.0.1", secure.instance.secure_port, secure.layout.tls_file)
    assert secure.apply(databases=4) is not None
    secure.prove()
    with secure.client() as client, pytest.raises(redis.ConnectionError):
        client.ping()
    secure.material["directives"] = {"tls-auth-clients": "no", "tls-protocols": "TLSv1.2 TLSv1.3"}
    secure.listen(tls="only")
    with secure.client() as client:
        client.ping()
