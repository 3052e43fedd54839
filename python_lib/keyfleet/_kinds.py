# SPDX-License-Identifier: MIT
"""What is true of every call of a command: one table, from which docs/reference/client/repeats.md is made."""

from __future__ import annotations

from typing import Any

from ._command import NO_FALLBACK, Kind, Repeat

MISSING: Any = object()

PING = Kind("PING", Repeat.READ, fallback=NO_FALLBACK)
GET = Kind("GET", Repeat.READ, "string")
GET_JSON = Kind("GET", Repeat.READ, "string", MISSING)
SET = Kind("SET", Repeat.SAME, fallback=False)
SET_ONCE = Kind("SET", Repeat.NEVER, fallback=False)  # NX, XX and GET look at what was there
SET_GET = Kind("SET", Repeat.NEVER, "string", fallback=None)
MGET = Kind("MGET", Repeat.READ)
MSET = Kind("MSET", Repeat.SAME, fallback=False)
DEL = Kind("DEL", Repeat.SAME, fallback=0)
UNLINK = Kind("UNLINK", Repeat.SAME, fallback=0)
EXISTS = Kind("EXISTS", Repeat.READ, fallback=0)
EXPIRE = Kind("PEXPIRE", Repeat.SAME, fallback=False)
PERSIST = Kind("PERSIST", Repeat.SAME, fallback=False)
TTL = Kind("PTTL", Repeat.READ)
INCR = Kind("INCRBY", Repeat.NEVER, "string", NO_FALLBACK)
SCAN = Kind("SCAN", Repeat.READ)
TYPE = Kind("TYPE", Repeat.READ)
INFO = Kind("INFO", Repeat.READ, fallback=NO_FALLBACK)
SLOWLOG = Kind("SLOWLOG GET", Repeat.READ, fallback=NO_FALLBACK)
DBSIZE = Kind("DBSIZE", Repeat.READ, fallback=NO_FALLBACK)
MEMORY_USAGE = Kind("MEMORY USAGE", Repeat.READ, fallback=NO_FALLBACK)
FLUSHDB = Kind("FLUSHDB", Repeat.SAME, fallback=NO_FALLBACK)
HSET = Kind("HSET", Repeat.SAME, "hash", 0)
HGET = Kind("HGET", Repeat.READ, "hash")
HGET_JSON = Kind("HGET", Repeat.READ, "hash", MISSING)
HGETALL = Kind("HGETALL", Repeat.READ, "hash", {})
HDEL = Kind("HDEL", Repeat.SAME, "hash", 0)
HINCRBY = Kind("HINCRBY", Repeat.NEVER, "hash", NO_FALLBACK)
HEXPIRE = Kind("HPEXPIRE", Repeat.SAME, "hash", 0)
HTTL = Kind("HPTTL", Repeat.READ, "hash")
LPUSH = Kind("LPUSH", Repeat.NEVER, "list", NO_FALLBACK)
RPUSH = Kind("RPUSH", Repeat.NEVER, "list", NO_FALLBACK)
LPOP = Kind("LPOP", Repeat.NEVER, "list", NO_FALLBACK)  # None would say that the list is empty, and a lost reply does not say so
RPOP = Kind("RPOP", Repeat.NEVER, "list", NO_FALLBACK)
LMOVE = Kind("LMOVE", Repeat.NEVER, "list", NO_FALLBACK)
LREM = Kind("LREM", Repeat.NEVER, "list", NO_FALLBACK)
LLEN = Kind("LLEN", Repeat.READ, "list", 0)
LRANGE = Kind("LRANGE", Repeat.READ, "list", NO_FALLBACK)
BLPOP = Kind("BLPOP", Repeat.NEVER, "list", NO_FALLBACK)
BRPOP = Kind("BRPOP", Repeat.NEVER, "list", NO_FALLBACK)
BLMOVE = Kind("BLMOVE", Repeat.NEVER, "list", NO_FALLBACK)
