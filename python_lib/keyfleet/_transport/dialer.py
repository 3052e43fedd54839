# SPDX-License-Identifier: MIT
"""How to connect to any server of one deployment, and one write to it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from redis.exceptions import ResponseError

from .._policy import Breaker, Policy
from .._protocol.resp import Argument, ErrorReply
from ..core.connect.redis_py import translate
from ..core.connect.settings import Settings
from ..core.connect.values import format_nodes
from ..core.errors import CertificateError, CredentialsError, KeyfleetError, UnreachableError
from .counters import Counters
from .failures import NotSentError
from .login import CredentialsProvider, Login, LoginSource
from .tls import SharedContext

# Host and port, or the path of a socket.
Address = tuple[str, int] | str
RECEIVE_BYTES = 65536


# A callable and its arguments. Hardly any call is late, so that the Watch itself, and even a closure, would be made for nothing.
WatchParts = tuple[Any, ...]


def make_watch(parts: WatchParts) -> Any:
    """
    Return what inspects a connection whose replies are late.

    Its ``check`` gets the connection, and raises LostError if waiting is of no use. It is called again at its ``check_at``, until its
    ``deadline``.
    """
    return parts[0](*parts[1:])


class Request:
    """
    What goes to one server in one write.

    Attributes:
        node: Where to; a Node of the transport.
        data: The bytes of all commands.
        reply_count: Replies that they get.
        connect_deadline: Until when a connection must be there.
        deadline: Until when the replies must be there, ``math.inf`` for a command that waits forever.
        is_alone: Whether no other call may use the connection meanwhile.
        is_blocking: Whether the server may let the caller wait, so that the connection comes from a pool of its own.
        check_at: When to check whether waiting is of use, if replies have not come by then.
        watch: What inspects then, as for `make_watch`; None if nothing does.
    """

    __slots__ = ("check_at", "connect_deadline", "data", "deadline", "is_alone", "is_blocking", "node", "reply_count", "watch")

    def __init__(self, node: Any, data: bytes, reply_count: int, deadline: float, *, is_alone: bool = False) -> None:
        self.node, self.data, self.reply_count = node, data, reply_count
        self.connect_deadline = self.deadline = deadline
        self.is_alone, self.is_blocking = is_alone, False
        self.check_at = math.inf
        self.watch: WatchParts | None = None


class Dialer:
    """
    Knows how to connect to any server of one deployment.

    Args:
        settings, policy: Of the client.
        counters: What it counts; by default from 0.
        provider: Of credentials, in place of those of the settings.
    """

    def __init__(
        self, settings: Settings, policy: Policy, counters: Counters | None = None, provider: CredentialsProvider | None = None
    ) -> None:
        self.settings, self.policy, self.counters = settings, policy, counters or Counters()
        self.login = LoginSource(settings, provider)
        self.tls = SharedContext(settings) if settings.tls else None

    def for_sentinels(self) -> Dialer:
        """Return the dialer for the Sentinels of the deployment, which have credentials of their own; all else is shared."""
        settings = self.settings
        own = replace(
            settings,
            username=settings.sentinel_username,
            password=settings.sentinel_password,
            password_file=settings.sentinel_password_file,
            db=0,
        )
        dialer = Dialer(own, self.policy, self.counters)
        dialer.tls = self.tls
        return dialer

    def server_name(self, host: str) -> str | None:
        """Return the name that the certificate of *host* must have; None without TLS."""
        return None if self.tls is None else self.settings.tls_server_name or host

    def settings_now(self) -> Settings:
        """Return the settings with the credentials that are in use."""
        login = self.login.known
        return self.settings if login is None else replace(self.settings, username=login.username, password=login.password)

    def new_breaker(self) -> Breaker:
        """Return a closed breaker for one server."""
        return Breaker(self.policy)

    def greeting(self, login: Login) -> list[tuple[Argument, ...]]:
        """Return what a new connection says before anything else; the last of it is harmless, and shows that the server lets it in."""
        commands: list[tuple[Argument, ...]] = []
        if login.username:
            commands.append(("AUTH", login.username, login.password or ""))
        elif login.password:
            commands.append(("AUTH", login.password))
        if self.settings.db:
            commands.append(("SELECT", self.settings.db))
        return [*commands, ("CLIENT", "SETINFO", "LIB-NAME", "keyfleet")]  # servers before 7.2 answer that they do not know it

    def refusal(self, commands: list[tuple[Argument, ...]], replies: list[Any], address: Address) -> NotSentError | None:
        """Return why the server does not let the connection in, by its *replies* to the *commands* of the greeting; None if it does."""
        for command, reply in zip(commands, replies, strict=True):
            if reply.__class__ is not ErrorReply:
                continue
            if command[0] == "AUTH":  # "unknown command" quotes the arguments
                reply = ErrorReply(str(reply).replace(str(command[-1]) or "***", "***"))
            text = str(reply).removeprefix("ERR ")
            if "max number of clients" in text or reply.code == "LOADING":
                return NotSentError(UnreachableError(format_address(address), text))
            if command[0] == "AUTH" and not text.startswith("unknown command"):
                # by what was asked: servers before 6.2 have no word of their own for it
                return NotSentError(CredentialsError(format_address(address), text.removeprefix("WRONGPASS ")))
            if command[0] != "CLIENT" or reply.code in ("NOAUTH", "DENIED"):
                return NotSentError(self.translate(reply))
        return None

    def no_login(self, error: Exception, address: Address) -> NotSentError:
        """Return what it means that the provider of credentials failed; its text may hold a secret."""
        if isinstance(error, KeyfleetError):
            return NotSentError(error)
        return NotSentError(CredentialsError(format_address(address), f"the provider of credentials failed with {type(error).__name__}"))

    def not_connected(self, error: BaseException, address: Address) -> NotSentError:
        """Return what a failed attempt to connect means."""
        cause = translate(error, self.settings)
        if isinstance(cause, (UnreachableError, CertificateError)):
            cause = type(cause)(format_address(address), cause.reason)
        return NotSentError(cause)

    def translate(self, reply: ErrorReply) -> KeyfleetError:
        """Return the error that a server's error reply means to the caller."""
        return translate(ResponseError(str(reply).removeprefix("ERR ")), self.settings_now())

    def too_late(self, address: Address, trouble: str = "") -> NotSentError:
        """Return what it means that no time is left to connect: *trouble* is why the attempt before failed."""
        return NotSentError(UnreachableError(format_address(address), trouble or "no connection in time"))


def format_address(address: Address) -> str:
    """Return *address* for people."""
    return f"unix:{address}" if isinstance(address, str) else format_nodes([address])
