# SPDX-License-Identifier: MIT
"""What is true of every call of a command: one table, from which docs/reference/client/repeats.md is made."""

from __future__ import annotations

from typing import Any

from .command import NO_FALLBACK, OF_NIL, Kind, Repeat

MISSING: Any = object()

PING = Kind("PING", Repeat.READ, fallback=NO_FALLBACK, names=None)
GET = Kind("GET", Repeat.READ, "string")
GET_JSON = Kind("GET", Repeat.READ, "string", OF_NIL)
SET = Kind("SET", Repeat.SAME, fallback=False)
SET_ONCE = Kind("SET", Repeat.NEVER, fallback=False)  # NX, XX and GET depend on the value before
SET_GET = Kind("SET", Repeat.NEVER, "string", fallback=None)
GETDEL = Kind("GETDEL", Repeat.NEVER, "string", NO_FALLBACK)  # the value is in the lost reply and nowhere else
GETEX = Kind("GETEX", Repeat.SAME, "string")
MGET = Kind("MGET", Repeat.READ, names=slice(1, None))
MSET = Kind("MSET", Repeat.SAME, fallback=False, names=slice(1, None, 2))
DEL = Kind("DEL", Repeat.SAME, fallback=0, names=slice(1, None))
UNLINK = Kind("UNLINK", Repeat.SAME, fallback=0, names=slice(1, None))
EXISTS = Kind("EXISTS", Repeat.READ, fallback=0, names=slice(1, None))
EXPIRE = Kind("PEXPIRE", Repeat.SAME, fallback=False)
EXPIRE_ONCE = Kind("PEXPIRE", Repeat.NEVER, fallback=False)  # NX, XX, GT and LT inspect the TTL that was there
EXPIREAT = Kind("PEXPIREAT", Repeat.SAME, fallback=False)
EXPIREAT_ONCE = Kind("PEXPIREAT", Repeat.NEVER, fallback=False)
PERSIST = Kind("PERSIST", Repeat.SAME, fallback=False)
TTL = Kind("PTTL", Repeat.READ)
INCR = Kind("INCRBY", Repeat.NEVER, "string", NO_FALLBACK)
SCAN = Kind("SCAN", Repeat.READ, names=None)
TYPE = Kind("TYPE", Repeat.READ)
INFO = Kind("INFO", Repeat.READ, fallback=NO_FALLBACK, names=None)
SLOWLOG = Kind("SLOWLOG GET", Repeat.READ, fallback=NO_FALLBACK, names=None)
DBSIZE = Kind("DBSIZE", Repeat.READ, fallback=NO_FALLBACK, names=None)
MEMORY_USAGE = Kind("MEMORY USAGE", Repeat.READ, fallback=NO_FALLBACK, names=slice(2, 3))
FLUSHDB = Kind("FLUSHDB", Repeat.SAME, fallback=NO_FALLBACK, names=None)
HSET = Kind("HSET", Repeat.SAME, "hash", 0)
HGET = Kind("HGET", Repeat.READ, "hash")
HGET_JSON = Kind("HGET", Repeat.READ, "hash", OF_NIL)
HGETALL = Kind("HGETALL", Repeat.READ, "hash", {})
HMGET = Kind("HMGET", Repeat.READ, "hash")
HEXISTS = Kind("HEXISTS", Repeat.READ, "hash", False)
HDEL = Kind("HDEL", Repeat.SAME, "hash", 0)
HINCRBY = Kind("HINCRBY", Repeat.NEVER, "hash", NO_FALLBACK)
HEXPIRE = Kind("HPEXPIRE", Repeat.SAME, "hash", 0)
HTTL = Kind("HPTTL", Repeat.READ, "hash")
LPUSH = Kind("LPUSH", Repeat.NEVER, "list", NO_FALLBACK)
RPUSH = Kind("RPUSH", Repeat.NEVER, "list", NO_FALLBACK)
LPOP = Kind("LPOP", Repeat.NEVER, "list", NO_FALLBACK)  # None would say that the list is empty, and a lost reply does not say so
RPOP = Kind("RPOP", Repeat.NEVER, "list", NO_FALLBACK)
LMOVE = Kind("LMOVE", Repeat.NEVER, "list", NO_FALLBACK, names=slice(1, 3))
LREM = Kind("LREM", Repeat.NEVER, "list", NO_FALLBACK)
LLEN = Kind("LLEN", Repeat.READ, "list", 0)
LRANGE = Kind("LRANGE", Repeat.READ, "list", NO_FALLBACK)
BLPOP = Kind("BLPOP", Repeat.NEVER, "list", NO_FALLBACK, names=slice(1, -1))
BRPOP = Kind("BRPOP", Repeat.NEVER, "list", NO_FALLBACK, names=slice(1, -1))
BLMOVE = Kind("BLMOVE", Repeat.NEVER, "list", NO_FALLBACK, names=slice(1, 3))
SADD = Kind("SADD", Repeat.SAME, "set", 0)
SREM = Kind("SREM", Repeat.SAME, "set", 0)
SMEMBERS = Kind("SMEMBERS", Repeat.READ, "set", set())
SISMEMBER = Kind("SISMEMBER", Repeat.READ, "set", False)
SMISMEMBER = Kind("SMISMEMBER", Repeat.READ, "set", NO_FALLBACK)
SCARD = Kind("SCARD", Repeat.READ, "set", 0)
SPOP = Kind("SPOP", Repeat.NEVER, "set", NO_FALLBACK)
SRANDMEMBER = Kind("SRANDMEMBER", Repeat.READ, "set", [])
ZADD = Kind("ZADD", Repeat.SAME, "zset", 0)
ZADD_ONCE = Kind("ZADD", Repeat.NEVER, "zset", 0)  # NX, XX, GT and LT inspect the score that was there
ZINCRBY = Kind("ZINCRBY", Repeat.NEVER, "zset", NO_FALLBACK)
ZREM = Kind("ZREM", Repeat.SAME, "zset", 0)
ZREMRANGEBYSCORE = Kind("ZREMRANGEBYSCORE", Repeat.SAME, "zset", 0)
ZSCORE = Kind("ZSCORE", Repeat.READ, "zset")
ZRANK = Kind("ZRANK", Repeat.READ, "zset")
ZCARD = Kind("ZCARD", Repeat.READ, "zset", 0)
ZCOUNT = Kind("ZCOUNT", Repeat.READ, "zset", 0)
ZRANGE = Kind("ZRANGE", Repeat.READ, "zset", [])
ZPOPMIN = Kind("ZPOPMIN", Repeat.NEVER, "zset", NO_FALLBACK)
ZPOPMAX = Kind("ZPOPMAX", Repeat.NEVER, "zset", NO_FALLBACK)
PUBLISH = Kind("PUBLISH", Repeat.NEVER, fallback=0)
SPUBLISH = Kind("SPUBLISH", Repeat.NEVER, fallback=0)

# Any command, by name and, where one name does several things, by its first two words. What is not named here is never sent again.
_READS = """
BITCOUNT BITFIELD_RO BITPOS DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS
GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET HPEXPIRETIME HPTTL
HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO KEYS LASTSAVE LCS LINDEX LLEN LPOS LRANGE MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL
RANDOMKEY ROLE SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME
TTL TYPE XINFO XLEN XPENDING XRANGE XREAD XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE
ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
"""
READS = frozenset(_READS.split()) | {
    *("ACL LIST", "ACL WHOAMI", "CLIENT ID", "CLIENT INFO", "CLIENT LIST", "CLUSTER INFO", "CLUSTER KEYSLOT", "CLUSTER NODES"),
    *("CLUSTER SHARDS", "CLUSTER SLOTS", "COMMAND COUNT", "COMMAND INFO", "CONFIG GET", "FUNCTION LIST", "LATENCY LATEST"),
    *("MEMORY STATS", "MEMORY USAGE", "PUBSUB CHANNELS", "PUBSUB NUMSUB", "SCRIPT EXISTS", "SLOWLOG GET", "SLOWLOG LEN"),
}
# SET, EXPIRE and others have options with which running twice is not running once: their callers say what they know.
SAMES = frozenset(["DEL", "HDEL", "HMSET", "HSET", "MSET", "PERSIST", "PSETEX", "SETEX", "UNLINK"])
WAITING = frozenset(["BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN"])
# They are about the connection, which other calls share, or are answered by more or less than one reply.
_OF_CONNECTION = """
ASKING AUTH DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE RESET SELECT SSUBSCRIBE SUBSCRIBE
SUNSUBSCRIBE SYNC UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH
"""
OF_CONNECTION = frozenset(_OF_CONNECTION.split()) | {
    "CLIENT CACHING",
    "CLIENT NO-EVICT",
    "CLIENT NO-TOUCH",
    "CLIENT REPLY",
    "CLIENT SETINFO",
    "CLIENT SETNAME",
    "CLIENT TRACKING",
}


def kind_of(words: tuple[str, str], repeatable: bool) -> Kind:
    """
    Return what is true of a command that the caller has put together.

    Args:
        words: Its name and first argument, in upper case.
        repeatable: Whether the caller says that it may be sent again.
    """
    repeat = Repeat.SAME if repeatable or words[0] in SAMES else Repeat.NEVER
    if is_among(words, READS):
        repeat = Repeat.READ
    return Kind(words[0], repeat, fallback=NO_FALLBACK, names=None)


def is_among(words: tuple[str, str], names: frozenset[str]) -> bool:
    """Say whether a command is one of *names*."""
    return words[0] in names or " ".join(words) in names
