# SPDX-License-Identifier: MIT
"""The calls that a pipeline takes: those of the builder, queued; nothing here waits, so both clients share them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .arguments import Value
from .builder import Commands
from .command import Operation
from .scripts import PreparedScript

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
Calls = TypeVar("Calls", bound="PipelineCalls")


def queued(build: Callable[Concatenate[Commands, P], Operation[Any]]) -> Callable[Concatenate[Calls, P], Calls]:
    """Return a method that queues what *build* makes of its arguments, and returns the pipeline."""

    @wraps(build)
    def queue(calls: Calls, /, *args: P.args, **kwargs: P.kwargs) -> Calls:
        calls._operations.append(build(calls._commands, *args, **kwargs))
        return calls

    queue.__doc__ = f"Queue the client's call `{build.__name__}`."
    return queue


class PipelineCalls:
    """
    Queues calls; each returns the pipeline.

    Args:
        commands: Builds the operations.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._operations: list[Operation[Any]] = []

    def __len__(self) -> int:
        """Return how many calls wait for `execute`."""
        return len(self._operations)

    def command(self, *arguments: Value, repeatable: bool = False) -> Self:
        """Queue any command, as the client's `execute` takes it, except those that wait on the server."""
        command = self._commands.execute(*arguments, repeatable=repeatable)
        self._operations.append(command)
        return self

    def run_script(self, script: PreparedScript, keys: Iterable[str] = (), arguments: Iterable[Value] = ()) -> Self:
        """
        Queue a run of *script*, which the client's `script` made; *keys* and *arguments* as when it is called.

        Its text is sent once in a pipeline, on a cluster once for each slot, and its SHA-1 behind that.
        """
        self._operations.append(self._commands.script(script.script, keys, arguments, script.is_repeatable))
        return self

    get = queued(Commands.get)
    get_bytes = queued(Commands.get_bytes)
    set = queued(Commands.set)
    getdel = queued(Commands.getdel)
    getex = queued(Commands.getex)
    get_json = queued(Commands.get_json)
    set_json = queued(Commands.set_json)
    get_many = queued(Commands.get_many)
    get_many_json = queued(Commands.get_many_json)
    set_many = queued(Commands.set_many)
    set_many_json = queued(Commands.set_many_json)
    delete = queued(Commands.delete)
    unlink = queued(Commands.unlink)
    exists = queued(Commands.exists)
    expire = queued(Commands.expire)
    expireat = queued(Commands.expireat)
    persist = queued(Commands.persist)
    ttl = queued(Commands.ttl)
    incr = queued(Commands.incr)
    decr = queued(Commands.decr)
    hset = queued(Commands.hset)
    hset_json = queued(Commands.hset_json)
    hget = queued(Commands.hget)
    hget_json = queued(Commands.hget_json)
    hmget = queued(Commands.hmget)
    hexists = queued(Commands.hexists)
    hgetall = queued(Commands.hgetall)
    hgetall_json = queued(Commands.hgetall_json)
    hdel = queued(Commands.hdel)
    hincrby = queued(Commands.hincrby)
    hexpire = queued(Commands.hexpire)
    httl = queued(Commands.httl)
    lpush = queued(Commands.lpush)
    rpush = queued(Commands.rpush)
    lpop = queued(Commands.lpop)
    rpop = queued(Commands.rpop)
    llen = queued(Commands.llen)
    lrange = queued(Commands.lrange)
    lrem = queued(Commands.lrem)
    lmove = queued(Commands.lmove)
    sadd = queued(Commands.sadd)
    srem = queued(Commands.srem)
    smembers = queued(Commands.smembers)
    sismember = queued(Commands.sismember)
    smismember = queued(Commands.smismember)
    scard = queued(Commands.scard)
    spop = queued(Commands.spop)
    srandmember = queued(Commands.srandmember)
    zadd = queued(Commands.zadd)
    zincrby = queued(Commands.zincrby)
    zrem = queued(Commands.zrem)
    zscore = queued(Commands.zscore)
    zrank = queued(Commands.zrank)
    zcard = queued(Commands.zcard)
    zcount = queued(Commands.zcount)
    zrange = queued(Commands.zrange)
    zrangebyscore = queued(Commands.zrangebyscore)
    zremrangebyscore = queued(Commands.zremrangebyscore)
    zpopmin = queued(Commands.zpopmin)
    zpopmax = queued(Commands.zpopmax)
