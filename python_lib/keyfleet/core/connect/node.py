# SPDX-License-Identifier: MIT
"""A connection to one server of several, whose commands are sent in one round trip and whose errors say what could not be done."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import DeniedError, KeyfleetError, RefusedError, ServerError
from .client import close, connect
from .redis_py import translate, translated
from .settings import Settings

# For tests: the process kills itself before the change of this number, counted from 1, or before the step of this name, as a lost machine
# would.
KILL_VARIABLE = "KEYFLEET_TEST_KILL_BEFORE_STEP"
_changes = 0


def reach_change() -> None:
    """Note that a command that changes something is next; tests end the process here."""
    global _changes
    _changes += 1
    if os.environ.get(KILL_VARIABLE) == str(_changes):
        os.kill(os.getpid(), signal.SIGKILL)


def reach_step(name: str) -> None:
    """Note that a step of this name is next; tests end the process here, too."""
    if os.environ.get(KILL_VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)


class ServerNode:
    """
    One server by the address at which this host reaches it.

    Args:
        settings: Credentials, TLS and timeout; addresses in it are not used.
    Attributes:
        address: ``host:port``.
        client: Open connection.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        self.settings = replace(settings, cluster_nodes=(), sentinels=(), sentinel_service=None, host=host, port=port, db=0)
        self.address = self.settings.address
        self.client = connect(self.settings)

    def close(self) -> None:
        """End the connection."""
        close(self.client)

    def ask(self, *commands: Sequence[Any], problem: str) -> list[Any]:
        """Run commands in one round trip; an error of one of them is raised and says *problem*."""
        replies = self._run(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._error(reply, problem) from reply
        return replies

    def change_together(self, *commands: Sequence[Any], problem: str) -> list[Any]:
        """Run commands that change something, all or none of which the server reaches (MULTI); arguments as for `change`."""
        if KILL_VARIABLE in os.environ:
            reach_change()
        replies = self._run(commands, together=True)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._error(reply, problem) from reply
        return replies

    def change(self, *commands: Sequence[Any], problem: str, ignore: str = "") -> list[Any]:
        """
        Run commands that change something, in one round trip.

        Args:
            problem: Says in an error what could not be done.
            ignore: Texts of errors, joined by ``|``, which mean that it was done already.
        """
        if KILL_VARIABLE in os.environ:  # one at a time, so that each can be the one that is not reached
            replies = []
            for command in commands:
                reach_change()
                replies += self._run([command])
        else:
            replies = self._run(commands)
        for reply in replies:
            if isinstance(reply, Exception) and not any(text in str(reply) for text in filter(None, ignore.split("|"))):
                raise self._error(reply, problem) from reply
        return replies

    def _run(self, commands: Iterable[Sequence[Any]], *, together: bool = False) -> list[Any]:
        with translated(self.settings):
            pipeline = self.client.pipeline(transaction=together)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))

    def _error(self, error: Exception, problem: str) -> KeyfleetError:
        found = translate(error, self.settings)
        if isinstance(found, ServerError) and not isinstance(found, DeniedError):
            return ServerError(f"{problem}: {found.reason}", self.address)
        return found

    def resolved_host(self) -> str:
        """
        Return the IP address that the host of *address* has, as this host resolves it.

        Raises:
            RefusedError: if the name has none.
        """
        try:
            found = socket.getaddrinfo(self.settings.host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise RefusedError(f"{self.address}: the name cannot be resolved to an address that other nodes can use: {error}") from error
        return str(found[0][4][0])
