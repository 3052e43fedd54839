# SPDX-License-Identifier: MIT
"""How to connect to any server of one deployment, and one write to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from .._policy import Breaker, Policy
from .._protocol.resp import Argument, ErrorReply
from ..core.connect.client import connection_options
from ..core.connect.redis_py import translate
from ..core.connect.settings import Settings
from ..core.connect.values import format_nodes
from ..core.errors import KeyfleetError, UnreachableError
from .failures import NotSentError
from .stats import Counters

# Host and port, or the path of a socket.
Address = tuple[str, int] | str
RECEIVE_BYTES = 65536
READONLY = b"*1\r\n$8\r\nREADONLY\r\n"  # lets a replica of a cluster answer reads


class Request(NamedTuple):
    """
    What goes to one server in one write.

    Attributes:
        node: Where to; a Node of the transport.
        data: The bytes of all commands.
        reply_count: Replies that they get.
        connect_deadline: Until when a connection must be there.
        deadline: Until when the replies must be there, ``math.inf`` for a command that waits for ever.
        is_alone: Whether nobody else may use the connection meanwhile.
    """

    node: Any
    data: bytes
    reply_count: int
    connect_deadline: float
    deadline: float
    is_alone: bool = False


@dataclass
class Dialer:
    """Knows how to connect to any server of one deployment."""

    settings: Settings
    policy: Policy
    counters: Counters = field(default_factory=Counters)

    def new_breaker(self) -> Breaker:
        """Return a closed breaker for one server."""
        return Breaker(self.policy)

    def options(self, address: Address, timeout_seconds: float) -> dict[str, Any]:
        """Return the arguments of redis-py's connection to *address*, each of whose steps may take *timeout_seconds*."""
        settings = self.settings
        options = {**connection_options(settings), "username": settings.username, "password": settings.password, "db": settings.db}
        options["socket_timeout"] = timeout_seconds
        if isinstance(address, str):
            return {**options, "path": address}
        if settings.tls:
            options["ssl_check_hostname"] = settings.tls_verify
        return {**options, "host": address[0], "port": address[1], "socket_connect_timeout": timeout_seconds}

    def greeting(self) -> list[tuple[Argument, ...]]:
        """Return what a new connection says before anything else; the last of it is harmless, and shows that the server lets it in."""
        settings = self.settings
        commands: list[tuple[Argument, ...]] = []
        if settings.username:
            commands.append(("AUTH", settings.username, settings.password or ""))
        elif settings.password:
            commands.append(("AUTH", settings.password))
        if settings.db:
            commands.append(("SELECT", settings.db))
        return [*commands, ("CLIENT", "SETINFO", "LIB-NAME", "keyfleet")]  # servers before 7.2 answer that they do not know it

    def check_greeting(self, command: tuple[Argument, ...], reply: Any, address: Address) -> None:
        """Raise NotSentError if *reply* to a *command* of the greeting means that the server does not let the connection in."""
        if reply.__class__ is not ErrorReply:
            return
        is_full = "max number of clients" in str(reply)
        if is_full or reply.code == "LOADING":
            raise NotSentError(UnreachableError(format_address(address), str(reply).removeprefix("ERR ")))
        if command[0] != "CLIENT" or reply.code in ("NOAUTH", "DENIED"):
            raise NotSentError(self.translate(reply))

    def not_connected(self, error: BaseException, address: Address) -> NotSentError:
        """Return what a failed attempt to connect means."""
        cause = translate(error, self.settings)
        if isinstance(cause, UnreachableError):
            cause = UnreachableError(format_address(address), cause.reason)
        return NotSentError(cause)

    def translate(self, reply: ErrorReply) -> KeyfleetError:
        """Return the error that a server's error reply means to the caller."""
        return translate(ResponseError(str(reply).removeprefix("ERR ")), self.settings)

    def too_late(self, address: Address) -> NotSentError:
        """Return what it means that no time is left to connect."""
        return NotSentError(UnreachableError(format_address(address), "no connection in time"))


def format_address(address: Address) -> str:
    """Return *address* for people."""
    return f"unix:{address}" if isinstance(address, str) else format_nodes([address])
