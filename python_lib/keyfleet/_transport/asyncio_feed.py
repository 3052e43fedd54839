# SPDX-License-Identifier: MIT
"""What one server sends unasked, taken without waiting, for asyncio."""

from __future__ import annotations

from collections import deque
from typing import Any

from .asyncio_link import Link
from .dialer import Address, Dialer


class Feed:
    """
    A connection whose replies are polled from time to time.

    Attributes:
        address: The server.
    """

    def __init__(self, link: Link) -> None:
        self.address = link.address
        self._link = link
        self._arrived: deque[Any] = deque()
        link.receiver = self._arrived.append

    @classmethod
    async def open(cls, dialer: Dialer, address: Address, data: bytes, reply_count: int, deadline: float) -> Feed:
        """Connect, send *data* and wait for its replies, which `take` returns; NotSentError or LostError says why not."""
        link = await Link.open(dialer, address, deadline)
        feed = cls(link)
        try:
            feed._arrived.extendleft(reversed(await link.exchange(data, reply_count, deadline)))
        except BaseException:
            feed.close()
            raise
        return feed

    def take(self) -> list[Any]:
        """Return what has arrived; the LostError that ended the connection comes last."""
        if not self._arrived:
            return []
        arrived = list(self._arrived)
        self._arrived.clear()
        return arrived

    def post(self, data: bytes) -> None:
        """Send *data* without waiting."""
        self._link.post(data)

    def close(self) -> None:
        """Close the connection."""
        self._link.receiver = None
        self._link.close()
