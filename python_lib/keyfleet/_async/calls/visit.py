# SPDX-License-Identifier: MIT
"""A few questions to one server over a connection of their own, so that pool and breaker do not matter."""

from __future__ import annotations

from typing import Any

from ..._protocol.resp import Argument, ErrorReply, pack
from ..._transport.asyncio_link import Link
from ..._transport.dialer import Address, Dialer, format_address
from ..._transport.failures import LostError, NotSentError
from ...core.errors import CertificateError, CredentialsError, ServerError, UnreachableError


class Visit:
    """A connection to one server, for a few questions before a deadline."""

    def __init__(self, link: Link, dialer: Dialer, deadline: float) -> None:
        self._link, self._dialer, self._deadline = link, dialer, deadline

    @classmethod
    async def begin(cls, dialer: Dialer, address: Address, deadline: float) -> Visit:
        """
        Connect; `end` must follow.

        Args:
            dialer: Knows how to connect.
            address: Where to.
            deadline: For everything together, by the monotonic clock.
        Raises:
            KeyfleetError: why there is no connection.
        """
        try:
            return cls(await Link.open(dialer, address, deadline), dialer, deadline)
        except NotSentError as failure:
            raise failure.cause from failure

    def end(self) -> None:
        """Close the connection."""
        self._link.close()

    def certificate(self) -> bytes | None:
        """Return the server's certificate, None without TLS."""
        return self._link.certificate()

    async def ask_all(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Return the replies to commands that are sent together; UnreachableError if they do not come."""
        try:
            return await self._link.exchange(b"".join(map(pack, commands)), len(commands), self._deadline)
        except NotSentError as failure:
            raise failure.cause from failure
        except LostError as failure:
            raise UnreachableError(format_address(self._link.address), str(failure)) from failure

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to one command; the error for the caller if it is an error."""
        (reply,) = await self.ask_all(arguments)
        if isinstance(reply, ErrorReply):
            raise self._dialer.translate(reply)
        return reply

    async def answer(self, *arguments: Argument) -> Any:
        """Return the reply to one command, or the error that it is; UnreachableError and CredentialsError are raised."""
        try:
            return await self.ask(*arguments)
        except (UnreachableError, CertificateError, CredentialsError):
            raise
        except ServerError as error:
            return error
