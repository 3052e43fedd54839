# SPDX-License-Identifier: MIT
"""Any command, and Lua scripts: what they answer is left as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._protocol.arguments import Seconds, Value
from ..._protocol.scripts import PreparedScript
from ..lifecycle import AsyncClientBase


class AsyncScript(PreparedScript):
    """
    A Lua script that the server runs in one step; made by the client's `script` and called like a function, or by a pipeline's
    `run_script`.

    The server gets its SHA-1, and its text only where it does not know it, so that neither SCRIPT nor anything else of @dangerous is
    needed.
    """

    def __init__(self, client: AsyncScripting, source: str, repeatable: bool) -> None:
        super().__init__(source, repeatable)
        self._client = client

    async def __call__(self, keys: Iterable[str] = (), arguments: Iterable[Value] = ()) -> Any:
        """
        Run it and return what it returns: None, int, bytes, or a list of these.

        Args:
            keys: What it finds in ``KEYS``: names without the prefix, which is put before them. On a cluster all are in one slot.
            arguments: What it finds in ``ARGV``.
        Raises:
            ValueError: on a cluster, if *keys* do not share a slot; nothing was sent.
            OutcomeUnknown: if the reply was lost; it is sent again only if the script was made as repeatable.
            ServerError: what the script, or a command that it calls, raises.
        """
        return await self._client._run(self._client._commands.script(self.script, keys, arguments, self.is_repeatable))


class AsyncScripting(AsyncClientBase):
    """Commands that the client has no call for."""

    async def execute(self, *arguments: Value, repeatable: bool = False, timeout_seconds: Seconds | None = None) -> Any:
        """
        Run any command and return its reply as it is: None, int, bytes, or a list of these.

            await client.execute("ZADD", Key("scores"), 12, "ada")

        Args:
            arguments: The command's name, each word of it an argument, and what follows. What is a Key gets the prefix, and chooses the
                server of a cluster; everything else is sent as it stands.
            repeatable: Say that running it twice leaves what running it once does, so that it may be sent again when its reply is lost.
                Commands that only read, and some others, are known for that (docs/reference/client/repeats.md).
            timeout_seconds: For a command that waits on the server, as BZPOPMIN: how long it may, 0 for no limit, as in its arguments; it
                gets a connection of its own.
        Raises:
            ValueError: if the command would change a connection that other calls share, as SELECT or SUBSCRIBE; if it waits and
                *timeout_seconds* is missing; on a cluster, if its keys do not share a slot.
            OutcomeUnknown: if the reply was lost, and it may have run.
        """
        return await self._run(self._commands.execute(*arguments, repeatable=repeatable, timeout_seconds=timeout_seconds))

    def script(self, source: str, *, repeatable: bool = False) -> AsyncScript:
        """
        Return the Lua script *source* as a function of keys and arguments; nothing is sent yet.

            release = client.script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end", repeatable=True)
            await release(keys=["lock:report"], arguments=["my token"])

        Args:
            source: It names each key as ``KEYS[n]`` and gets everything else as ``ARGV[n]``, never as part of its text: each text is a
                script of its own, and the server keeps them all.
            repeatable: Running it twice leaves what running it once does, so that it may be sent again when its reply is lost.
        """
        return AsyncScript(self, source, repeatable)
