# SPDX-License-Identifier: MIT
"""Synchronous calls: one after another, and 100 keys in one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import redis
from keyfleet import Client
from keyfleet.testing.servers import Cluster, Server, start_cluster, start_server

from .rows import OURS, RAW, Report, take_turns
from .workload import KEYS, VALUE, VALUES, encode, new_folder

ROUNDS = 100
BATCH_ROUNDS = 60
BATCHES = 5

Block = Callable[[], object]


def one_after_another(engine: str, report: Report) -> None:
    """Compare keyfleet with all peers, with defaults and every accelerator that they use."""
    import glide_sync
    import valkey

    with ExitStack() as stack:
        server = stack.enter_context(start_server(new_folder(), engine=engine))
        ours = stack.enter_context(Client.from_settings(server.settings()))
        raw = stack.enter_context(redis.Redis(server.host, server.port))
        fork = stack.enter_context(valkey.Valkey(server.host, server.port))
        address = glide_sync.NodeAddress(server.host, server.port)
        glide = glide_sync.GlideClient.create(glide_sync.GlideClientConfiguration([address]))
        stack.callback(glide.close)
        plain = {RAW: raw, "valkey-py": fork, "valkey-glide-sync": glide}
        sets = {OURS: _each(lambda key: ours.set_json(key, VALUE)), **{name: _each(_setter(client)) for name, client in plain.items()}}
        gets = {OURS: _each(ours.get_json), **{name: _each(_getter(client)) for name, client in plain.items()}}
        report(take_turns(sets, len(KEYS), ROUNDS).row("sync", "set_json, one after another", 1.7))
        report(take_turns(gets, len(KEYS), ROUNDS).row("sync", "get_json, one after another", 1.7))


def without_accelerators(engine: str, report: Report) -> None:
    """Compare keyfleet with redis-py where neither hiredis nor orjson is there; the caller has seen to that."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(new_folder(), engine=engine))
        ours = stack.enter_context(Client.from_settings(server.settings()))
        raw = stack.enter_context(redis.Redis(server.host, server.port))
        sets = {OURS: _each(lambda key: ours.set_json(key, VALUE)), RAW: _each(_setter(raw))}
        gets = {OURS: _each(ours.get_json), RAW: _each(_getter(raw))}
        report(take_turns(sets, len(KEYS), ROUNDS).row("plain", "set_json without hiredis and orjson", 1.0))
        report(take_turns(gets, len(KEYS), ROUNDS).row("plain", "get_json without hiredis and orjson", 1.0))


def at_once(engine: str, report: Report) -> None:
    """Compare 100 keys in one call with redis-py's pipeline and MSET, on one server and on a cluster."""
    with start_server(new_folder(), engine=engine) as server:
        _compare_batches(server, "one server", 2.5, 4.0, report)
    with start_cluster(new_folder(), engine=engine) as cluster:
        _compare_batches(cluster, "3-node cluster", None, None, report)


def pipelines(engine: str, report: Report) -> None:
    """Compare pipelines of 100 calls."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(new_folder(), engine=engine))
        ours = stack.enter_context(Client.from_settings(server.settings()))
        raw = stack.enter_context(redis.Redis(server.host, server.port))
        blocks: dict[str, dict[str, Block]] = {
            "set": {OURS: lambda: _queued(ours, "set", "value"), RAW: lambda: _set_by_pipeline(raw, lambda: "value")},
            "get": {OURS: lambda: _queued(ours, "get"), RAW: lambda: _get_by_pipeline(raw, bytes.decode)},
            "set_json": {OURS: lambda: _queued(ours, "set_json", VALUE), RAW: lambda: _set_by_pipeline(raw)},
            "get_json": {OURS: lambda: _queued(ours, "get_json"), RAW: lambda: _get_by_pipeline(raw)},
        }
        for what, contestants in blocks.items():
            rates = take_turns({name: _several(block) for name, block in contestants.items()}, BATCHES * len(KEYS), BATCH_ROUNDS)
            report(rates.row("pipeline", f"{what}, 100 calls", 2.5))


def _queued(ours: Client, call: str, *values: Any) -> list[Any]:
    with ours.pipeline() as pipe:
        queue = getattr(pipe, call)
        for key in KEYS:
            queue(key, *values)
        return pipe.execute()


def _compare_batches(where: Server | Cluster, place: str, set_target: float | None, get_target: float | None, report: Report) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(Client.from_settings(where.settings()))
        raw: Any = stack.enter_context(_plain_client(where))
        sets: dict[str, Block] = {OURS: lambda: ours.set_many_json(VALUES), RAW: lambda: _set_by_pipeline(raw)}
        gets: dict[str, Block] = {OURS: lambda: ours.get_many_json(KEYS), RAW: lambda: _get_by_pipeline(raw)}
        if isinstance(where, Server):
            sets["redis-py MSET"] = lambda: raw.mset({key: encode() for key in KEYS})
            gets["redis-py MGET"] = lambda: [json.loads(data) for data in raw.mget(KEYS)]
        for what, blocks, target in (("set_many_json", sets, set_target), ("get_many_json", gets, get_target)):
            rates = take_turns({name: _several(block) for name, block in blocks.items()}, BATCHES * len(KEYS), BATCH_ROUNDS)
            report(rates.row("batch", f"{what}, 100 keys, {place}", target))


def _plain_client(where: Server | Cluster) -> Any:
    if isinstance(where, Cluster):
        return redis.RedisCluster(where.nodes[0].host, where.nodes[0].port)
    return redis.Redis(where.host, where.port)


def _setter(client: Any) -> Callable[[str], object]:
    return lambda key: client.set(key, encode())


def _getter(client: Any) -> Callable[[str], object]:
    return lambda key: json.loads(client.get(key))


def _each(call: Callable[[str], object]) -> Block:
    def block() -> None:
        for key in KEYS:
            call(key)

    return block


def _several(call: Block) -> Block:
    def block() -> None:
        for _unused in range(BATCHES):
            call()

    return block


def _set_by_pipeline(raw: Any, value: Callable[[], str] = encode) -> None:
    pipeline = raw.pipeline(transaction=False)
    for key in KEYS:
        pipeline.set(key, value())
    pipeline.execute()


def _get_by_pipeline(raw: Any, decode: Callable[[bytes], Any] = json.loads) -> list[Any]:
    pipeline = raw.pipeline(transaction=False)
    for key in KEYS:
        pipeline.get(key)
    return [decode(data) for data in pipeline.execute()]
