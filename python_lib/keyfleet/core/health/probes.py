# SPDX-License-Identifier: MIT
"""The health checks that ask a server something of their own: PING, CLUSTER INFO, its certificate, a write read back."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Optional, Union, cast

from ..connect.redis_py import translated
from ..errors import CertificateError, CredentialsError, ServerError, UnreachableError
from .checks import NO_CLUSTER, judge_cluster, judge_ping
from .model import DEGRADED, FAILED, OK, SKIPPED, Check, Info, Thresholds, judged, reason_of

try:
    from redis.cluster import RedisCluster
    from redis.exceptions import BusyLoadingError, ReadOnlyError, RedisClusterException, RedisError, ResponseError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ImportError:
    pass

if TYPE_CHECKING:
    from ..connect.primaries import Primary
    from ..connect.redis_py import AnyClient
    from ..connect.settings import Settings

PROBE_PREFIX = "keyfleet:probe:"
PROBE_SECONDS = 10
PROBE_ATTEMPTS = 10_000  # to find a name whose slot is on a certain node
DAY_SECONDS = 86400

Clock = Callable[[], float]


def check_ping(node: Primary, settings: Settings, thresholds: Thresholds, clock: Clock = time.monotonic) -> Check:
    """
    Measure the best of three PINGs on an open connection.

    Raises:
        UnreachableError, CredentialsError: if the server does not talk to us at all.
    """
    best: Union[float, ServerError]
    try:
        with translated(settings):
            try:
                node.client.ping()  # opens the connection
                best = min(_milliseconds(node.client.ping, clock) for _attempt in range(3))
            except BusyLoadingError as busy:  # an answer, though redis-py counts it among the connection errors
                return Check("ping", FAILED, f"the server answers: {busy}")
    except (UnreachableError, CertificateError, CredentialsError):
        raise
    except ServerError as error:
        best = error
    return judge_ping(best, thresholds)


def _milliseconds(call: Callable[[], object], clock: Clock) -> float:
    started = clock()
    call()
    return round(1000 * (clock() - started), 3)


def check_cluster(node: Primary, settings: Settings, info: Info) -> Check:
    """Judge CLUSTER INFO; skipped where cluster mode is off or the command is denied."""
    if info.get("cluster_enabled") == 0:
        return NO_CLUSTER
    fields: Union[Mapping[str, str], ServerError]
    try:
        with translated(settings):
            fields = node.client.execute_command("CLUSTER INFO")
    except (UnreachableError, CertificateError, CredentialsError):
        raise
    except ServerError as error:
        fields = error
    return judge_cluster(fields)


def check_certificate(node: Primary, settings: Settings, thresholds: Thresholds, now: Clock = time.time) -> Check:
    """Judge how long the certificate is valid that the server shows in a handshake of its own."""
    if not settings.tls:
        return Check("certificate", SKIPPED, "TLS is off")
    pool = node.client.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    try:
        with translated(settings):
            connection.connect()
            connection.send_command("PING")  # the server counts a client that leaves in mid-handshake as a rejected one
            with contextlib.suppress(ResponseError):
                connection.read_response()
        certificate = connection._sock.getpeercert(binary_form=True)
    finally:
        connection.disconnect()
    return judge_certificate(certificate, thresholds, now)


def judge_certificate(der: bytes, thresholds: Thresholds, now: Clock = time.time) -> Check:
    """Judge how long a certificate is valid."""
    expiry = certificate_expiry(der)
    days = round((expiry.timestamp() - now()) / DAY_SECONDS, 1)
    found = {"not_after": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"), "left_days": days}
    if days < 0:
        return judged("certificate", found, [(FAILED, f"the certificate expired on {found['not_after']}")])
    soon = days < thresholds.certificate_days
    return judged("certificate", found, [(DEGRADED, f"the certificate expires in {days} days")] if soon else [])


def certificate_expiry(der: bytes) -> datetime:
    """
    Return the end of a certificate's validity; Python decodes it only for certificates that it verified.

    Source:
        RFC 5280, 4.1: Certificate > tbsCertificate > version, serial, *signature*, *issuer*, *validity* … (the sequences in italics).
    """
    tbs = next(_elements(next(_elements(der))[1]))[1]
    validity = [content for tag, content in _elements(tbs) if tag == 0x30][2]
    tag, text = list(_elements(validity))[1]
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"  # UTCTime or GeneralizedTime
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=timezone.utc)


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the DER elements that stand one after another."""
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:  # the length itself is that many bytes long
            digits = length & 0x7F
            length = int.from_bytes(der[position : position + digits], "big")
            position += digits
        yield tag, der[position : position + length]
        position += length


def check_round_trip(client: AnyClient, node: Primary, settings: Settings, clock: Clock = time.monotonic) -> Check:
    """
    Write a key of our own, read it back, delete it; should deleting fail, it expires after ``PROBE_SECONDS``.

    A replica is skipped. A write that is denied fails, because it was asked for as a proof.
    """
    key, value = _probe_key(client, node, settings), secrets.token_hex(16).encode()
    if key is None:
        return Check("round_trip", SKIPPED, "no key with the prefix belongs to this node")
    started, reason = clock(), ""
    try:
        with translated(settings):
            try:
                node.client.set(key, value, ex=PROBE_SECONDS)
                read_back = node.client.get(key)
            except ReadOnlyError:
                return Check("round_trip", SKIPPED, "a replica takes no writes")
            finally:
                reason = _delete(node, key)
    except ServerError as error:
        return no_round_trip(reason_of(error), timed_out=isinstance(error.__cause__, RedisTimeoutError))
    found = {"latency_ms": round(1000 * (clock() - started), 3)}
    if read_back != value:
        return judged("round_trip", found, [(FAILED, f"the probe key {key!r} was read back with another value")])
    return Check("round_trip", OK, reason, found)


def no_round_trip(reason: str, *, timed_out: bool) -> Check:
    """Return the check of a write probe that failed; *timed_out* means that no reply came although PING was answered before."""
    paused = "; the server answers PING, so writes may be paused (CLIENT PAUSE, a failover)" if timed_out else ""
    return Check("round_trip", FAILED, f"the probe was not written and read back: {reason}{paused}")


def _delete(node: Primary, key: str) -> str:
    try:
        node.client.delete(key)
    except RedisError as error:
        return f"the probe key could not be deleted ({error}) and expires after {PROBE_SECONDS} s"
    return ""


def probe_name(prefix: str) -> str:
    """Return a new name of a key for a write probe."""
    return f"{prefix}{PROBE_PREFIX}{secrets.token_hex(8)}"


def _probe_key(client: AnyClient, node: Primary, settings: Settings) -> Optional[str]:
    """Return a random key of *node*; None if none was found: it lost its slots, or the prefix has a hash tag."""
    for _attempt in range(PROBE_ATTEMPTS):
        key = probe_name(settings.key_prefix)
        if _owner(client, key, node.address) == node.address:
            return key
    return None


def _owner(client: AnyClient, key: str, alone: str) -> Optional[str]:
    """Return the address of the node that holds *key*: *alone* where there is no cluster."""
    if not isinstance(client, RedisCluster):
        return alone
    try:
        return cast("str", client.get_node_from_key(key).name)  # type: ignore[no-untyped-call]
    except RedisClusterException:  # the slot belongs to no node
        return None
