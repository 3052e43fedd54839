# SPDX-License-Identifier: MIT
"""
redis-py: the one place that imports it, and the translation of its errors to keyfleet's.

Ansible runs modules on hosts without redis-py as well: there HAS_REDIS is False, and the imported names are None.
"""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

from ..errors import CertificateError, CredentialsError, DeniedError, KeyfleetError, RefusedError, ServerError, UnreachableError
from .tls import certificate_problem

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode, RedisCluster
    from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
    from redis.exceptions import RedisClusterException, RedisError
    from redis.retry import Retry
    from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

    HAS_REDIS = True
    REDIS_IMPORT_ERROR: Optional[str] = None
except ImportError:
    HAS_REDIS = False
    REDIS_IMPORT_ERROR = traceback.format_exc()
    redis = None  # type: ignore[assignment]
    NoBackoff = ClusterNode = RedisCluster = Connection = ConnectionPool = SSLConnection = None  # type: ignore[assignment,misc]
    UnixDomainSocketConnection = Retry = Sentinel = None  # type: ignore[assignment,misc]
    SentinelManagedConnection = SentinelManagedSSLConnection = None  # type: ignore[assignment,misc]
    RedisError = RedisClusterException = Exception  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from .settings import Settings

__all__ = [
    "AnyClient",
    "ClusterNode",
    "Connection",
    "ConnectionPool",
    "FOREIGN_ERRORS",
    "HAS_REDIS",
    "NoBackoff",
    "REDIS_IMPORT_ERROR",
    "RedisCluster",
    "RedisClusterException",
    "RedisError",
    "ReplyLostError",
    "Retry",
    "SSLConnection",
    "Sentinel",
    "SentinelManagedConnection",
    "SentinelManagedSSLConnection",
    "UnixDomainSocketConnection",
    "redis",
    "translate",
    "translated",
]

# A redis.Redis or RedisCluster. Their annotations mix sync and async replies and differ from version to version.
AnyClient = Any

# What redis-py raises; RedisClusterException is not a RedisError.
FOREIGN_ERRORS = (RedisError, RedisClusterException, OSError)


# The last one is the reply to a password where `default` needs none; redis-py before 5 makes it an error like any other.
_LOGIN_REFUSED = r"(WRONGPASS|NOAUTH) |(ERR )?AUTH <password> called without any password configured"


class ReplyLostError(RedisError):
    """A command was sent to a cluster node and its reply did not come: it may have run."""


@contextlib.contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Turn errors of redis-py within the block into ours, with the original as the cause."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise translate(error, settings) from error


def translate(error: BaseException, settings: Settings) -> KeyfleetError:
    """Return the error of our tree that says what *error* of redis-py means."""
    if isinstance(error, KeyfleetError):
        return error
    problem = certificate_problem(error)
    if problem:
        return CertificateError(settings.address, problem)
    error = _root(error)
    text = _without_secret(str(error), settings)
    address = settings.address
    if isinstance(error, redis.AuthenticationError) or re.match(_LOGIN_REFUSED, text):
        return CredentialsError(address, re.sub("^(WRONGPASS|NOAUTH|ERR) ", "", text))
    if isinstance(error, redis.sentinel.MasterNotFoundError):
        return UnreachableError(address, "no Sentinel that answers knows a primary of this service")
    denied = _denial(error, text, settings.username or "default")
    if denied:
        return denied
    if isinstance(error, redis.exceptions.MovedError) or text.startswith("MOVED "):
        return ServerError("the server is one node of a cluster and the key is on another; name the cluster's nodes instead", address)
    no_node = isinstance(error, redis.exceptions.RedisClusterException) and "cannot be connected" in text
    if no_node or isinstance(error, (redis.ConnectionError, redis.TimeoutError, ReplyLostError, OSError)):
        return UnreachableError(address, text)
    if isinstance(error, redis.DataError):
        return RefusedError(text)
    return ServerError(text, address)


def _root(error: BaseException) -> BaseException:
    """Return the cause that RedisCluster hides behind its own exceptions, even a denied CLUSTER SLOTS behind "mode is not enabled"."""
    cause: Optional[BaseException] = error
    while isinstance(cause, RedisClusterException):
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, (RedisError, OSError)) else error


def _without_secret(text: str, settings: Settings) -> str:
    """Return redis-py's text on one line, without a password and without the command that it quotes after a pipeline."""
    text = re.sub(r"^Command # \d+ \(.*\) of pipeline caused error: ", "", " ".join(text.split())) or "no reason given"
    for secret in (settings.password, settings.sentinel_password):
        text = text.replace(secret, "***") if secret else text
    return text


def _denial(error: BaseException, text: str, username: str) -> Optional[DeniedError]:
    """
    Return what the server denies to a user, None if the error says something else.

    Args:
        username: Who logged in, for servers that do not say whom they deny it to, as Redis 7.0.

    Source:
        Texts of ACLs in 6.0 to 7.0 ("access one of the keys used as arguments"), 7.2 and newer ("No permissions to access a key"), and in
        scripts ("ACL failure in script", before 7.2 "The user executing the script can't"); ACL DRYRUN names the key.
    """
    unknown = re.match(r"(?:ERR )?unknown (?:sub)?command\W*([^'`,\s]*)", text, re.IGNORECASE)
    if unknown:
        return DeniedError(unknown.group(1).lower() or "unknown", text)
    switched_off = re.match(r"(?:ERR )?(DEBUG|MODULE) command not allowed\b", text)  # by enable-debug-command, whoever asks
    if switched_off:
        return DeniedError(switched_off.group(1).lower(), text)
    in_script = re.match(r"(?:ERR )?(?:ACL failure in script|The user executing the script can't)", text)
    if not (in_script or isinstance(error, redis.exceptions.NoPermissionError) or text.startswith("NOPERM ")):
        return None
    named = re.search(r"\bUser (\S+) has no permissions\b", text)
    user = named.group(1) if named else username
    command = re.search(r"run the '([^']+)'", text)
    if command:
        return DeniedError(command.group(1).replace("|", " "), text, user=user)
    other = re.search(r"\b(?:access|mentioned)\b.*?(?:'(?P<name>[^']*)' )?\b(?P<kind>key|channel)s?\b", text)
    kind, name = (other["kind"], other["name"] or "") if other else ("command", "")
    return DeniedError("", text, kind, name, user)
