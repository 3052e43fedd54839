"""One instance below a folder of its own, run by the process manager and changed by the library, as the modules do it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import redis
from ansible_collections.keyfleet.redis.plugins.filter.server import server_plan
from keyfleet.core.directives.trial import engine_version
from keyfleet.core.instance.carry_out import KILL_VARIABLE
from keyfleet.core.instance.converge import Converged, carry_out, prepare
from keyfleet.core.instance.host_files import complete, plan_files
from keyfleet.core.instance.maxmemory import Memory
from keyfleet.core.instance.model import Host, Instance, from_options
from keyfleet.core.instance.restart import Restarted, restart
from keyfleet.core.service import supervisor
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import free_port, wait_until

PASSWORD = "battery-staple"


class LiveInstance:
    """
    An instance with what its inventory says now.

    Attributes:
        directives: Of the inventory; change them, then call `settle`.
        topology: What the instances of its deployment are together.
    """

    def __init__(self, root: Path, engine: str = "redis-7.0", **options: Any) -> None:
        binary, self.engine = str(find_binary(engine)), engine
        self.host = Host(engine_version(binary)[0], binary, "process", str(root), start_timeout_seconds=30)
        self.options: dict[str, Any] = {"name": "cache", "port": free_port("127.0.0.1"), "bind": ["127.0.0.1"], "password": PASSWORD}
        self.options.update(options)
        self.directives: dict[str, Any] = {}
        self.topology = "single"
        self.layout, self.manager = self.host.layout(self.options["name"]), self.host.manager(self.options["name"])

    @property
    def instance(self) -> Instance:
        """The desired instance, as the modules get it."""
        variables = {"instances": [{**self.options, "directives": self.directives}], "root": self.host.root, "topology": self.topology}
        (options,) = server_plan(variables)
        (found,) = complete(self.host, [from_options(options)], Memory())
        return found

    def settle(self, *, check: bool = False, **directives: Any) -> Converged:
        """Do what a run does before restarts; *directives* join those of the inventory, None takes one out."""
        self.directives = {name: value for name, value in {**self.directives, **directives}.items() if value is not None}
        if not check:
            plan_files(self.host, [self.instance], 0, check=False).apply()
        (prepared,) = prepare(self.host, [self.instance])
        return carry_out(self.host, prepared, check=check)

    def restart(self) -> Restarted:
        """Restart the instance."""
        return restart(self.host, self.instance)

    def apply(self, **directives: Any) -> Optional[Restarted]:
        """Do what a run does, restart included."""
        return self.restart() if self.settle(**directives).restart_needed else None

    def remove(self) -> Converged:
        """Let the instance leave; its data stays."""
        self.options["state"] = "absent"
        try:
            (prepared,) = prepare(self.host, [self.instance])
            return carry_out(self.host, prepared)
        finally:
            del self.options["state"]

    def killed_before(self, step: str, work: Callable[[], object]) -> bool:
        """Do some work in a process of its own that kills itself before the step of this name; return whether it got there."""
        pid = os.fork()
        if pid == 0:
            try:
                os.environ[KILL_VARIABLE] = step
                work()
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of the open port."""
        port = {} if "unix_socket_path" in options else {"port": self.options["port"]}
        return redis.Redis(**{"password": PASSWORD, "decode_responses": True, **port, **options})

    def fill(self, keys: int = 100, *, db: int = 0, prefix: str = "key") -> None:
        """Write keys."""
        with self.client(db=db) as client:
            client.mset({f"{prefix}:{number}": number for number in range(keys)})

    def keys(self, db: int = 0) -> int:
        """Return how many keys a database has."""
        with self.client(db=db) as client:
            return int(client.dbsize())

    def all_keys(self) -> int:
        """Return how many keys all databases have, whether the port is open or not yet."""
        with self._client_of_what_is_open() as client:
            return sum(int(found["keys"]) for found in client.info("keyspace").values())

    def _client_of_what_is_open(self) -> redis.Redis:
        """Return a client of the private socket while it answers, else of the open port."""
        place = self.layout.private_socket_file
        private = Path(place).exists() and self._answers(unix_socket_path=place)
        return self.client(**({"unix_socket_path": place} if private else {}))

    def _answers(self, **options: Any) -> bool:
        try:
            with self.client(**options) as client:
                return not client.info("persistence")["loading"]
        except redis.RedisError:
            return False

    def active(self, name: str) -> str:
        """Return an active directive."""
        with self.client() as client:
            return str(client.config_get(name)[name])

    def crash(self) -> None:
        """Kill the server (SIGKILL) and wait until its supervisor has it running again."""
        wait_until(self._has_written, "the server to write what it acknowledged")
        pid = self.manager.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.manager.status().active and self.manager.status().pid != pid and self._loaded(), "the server to be back")

    def _has_written(self) -> bool:
        """Whether nothing waits for the append-only file: with ``everysec`` a write waits up to 2 s for an fsync that is slow."""
        with self._client_of_what_is_open() as client:
            return int(client.info("persistence").get("aof_buffer_length", 0)) == 0

    def _loaded(self) -> bool:
        return self._answers(unix_socket_path=self.layout.private_socket_file) or self._answers()

    def power_off(self) -> None:
        """Kill supervisor and server, as a lost machine would end them."""
        found = supervisor.status(self.layout.run_dir)
        for kind in ("runner_pid", "server_pid"):
            if found[kind]:
                os.kill(found[kind], signal.SIGKILL)
        wait_until(lambda: self.manager.status().stopped, "both to be gone")

    def start_as_configured(self) -> None:
        """Start it without the library, as a boot or an operator would."""
        self.manager.start()
        wait_until(self._loaded, "the server to load its data")

    def stop(self) -> None:
        """Stop it without the library; it saves what its directives say."""
        self.manager.stop(30)

    def end(self) -> None:
        """End what runs, after a test."""
        found = supervisor.status(self.layout.run_dir)
        for kind in ("runner_pid", "server_pid"):
            if found[kind]:
                os.kill(found[kind], signal.SIGKILL)
