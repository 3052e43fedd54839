# SPDX-License-Identifier: MIT
"""
Every error that keyfleet raises, one tree with two parts.

Of the client, exported by the package ``keyfleet``:

    KeyfleetError
    ├── SettingsError            the connection settings are missing, wrong or contradict each other
    ├── RefusedError             the request is not safe or not possible; nothing was touched
    ├── DecodeError              a stored value is not the text or JSON that was asked for
    ├── ClosedError              the client was closed
    ├── ConflictError            what was to be changed is not what the change was made from
    ├── TokenInvalidError        a refresh token is unknown, expired or revoked
    │   └── TokenReusedError     it was rotated before: its whole family is revoked
    ├── RateLimitedError         a rate limit refused the call
    ├── LockTimeoutError         a lock was not free in time
    ├── LockLostError            the lease of a lock ended before it was released
    └── ServerError              a server was asked, and it did not go well
        ├── UnreachableError     no connection, or no usable answer in time; the command did not run
        │   ├── PoolTimeoutError all connections were busy for the whole budget
        │   └── BreakerOpenError not tried, since the last calls failed
        ├── OutcomeUnknown       the command was sent and its reply did not come: it may have run
        ├── CertificateError     TLS: the server's certificate is not accepted, or the client's
        ├── CredentialsError     the server refused the user name or password, or wants one
        ├── DeniedError          the server does not offer the command to this user, or denies a key or channel
        ├── WrongTypeError       the key holds another data type
        └── InvalidationError    deleting keys ended early; it says what was deleted

Of roles and builds, raised on hosts only:

    KeyfleetError
    ├── FilesError               a file could not be written; some may have been
    ├── BuildError               the program could not be built; what is in use stays
    └── ServiceError             a service could not be started, stopped or asked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Union


def describe(error: Exception) -> str:
    """Return what an error says to people; what the system refused is named by path and reason, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


class KeyfleetError(Exception):
    """
    Base class; ``str()`` never contains a secret.

    Attributes:
        instance: On a host, the instance that could not be planned; empty elsewhere.
    """

    instance = ""


class SettingsError(KeyfleetError):
    """The connection settings are missing, wrong or contradict each other."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class RefusedError(KeyfleetError):
    """The request is not safe or not possible; nothing was touched."""


class BuildError(KeyfleetError):
    """The program could not be built from its source; what is in use stays."""


class DecodeError(KeyfleetError):
    """
    A stored value, or a message of the channel *key*, is not the text or JSON that was asked for.

    *data* is the value itself, which is shown nowhere: what was taken off a list is not lost with this error.
    """

    def __init__(self, key: str, wanted: str, kind: str = "key", data: Optional[bytes] = None) -> None:
        super().__init__(key, wanted, kind)
        self.key, self.wanted, self.kind, self.data = key, wanted, kind, data

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r} holds a value that is not {self.wanted}"


class ClosedError(KeyfleetError):
    """The client was closed; `connect` opens it again."""


class ConflictError(KeyfleetError):
    """Another client has changed *what* since version *expected_version*; nothing was changed. Read it again, and try again."""

    def __init__(self, what: str, expected_version: int) -> None:
        super().__init__(what, expected_version)
        self.what, self.expected_version = what, expected_version

    def __str__(self) -> str:
        return f"{self.what} is not of version {self.expected_version} any more"


class TokenInvalidError(KeyfleetError):
    """A refresh token is unknown, expired or revoked; its user has to log in again."""

    def __str__(self) -> str:
        return "the token is unknown, expired or revoked"


class TokenReusedError(TokenInvalidError):
    """A refresh token was used again after it was rotated: it was stolen, and all tokens of its family are revoked."""

    def __str__(self) -> str:
        return "the token was used before; all tokens of its family are revoked"


class RateLimitedError(KeyfleetError):
    """
    A rate limit refused the call; nothing was consumed.

    Attributes:
        limit: The limit that refused.
        retry_after_seconds: How long until the call may be admitted.
        result: Everything that is known, a RateLimitResult.
    """

    def __init__(self, limit: int, retry_after_seconds: float, result: object) -> None:
        super().__init__(limit, retry_after_seconds, result)
        self.limit, self.retry_after_seconds, self.result = limit, retry_after_seconds, result

    def __str__(self) -> str:
        return f"the limit of {self.limit} is used up; try again in {self.retry_after_seconds:.3f} s"


class LockTimeoutError(KeyfleetError):
    """The lock *name* was not free within *timeout_seconds*; the caller is not in its line any more."""

    def __init__(self, name: str, timeout_seconds: float) -> None:
        super().__init__(name, timeout_seconds)
        self.name, self.timeout_seconds = name, timeout_seconds

    def __str__(self) -> str:
        return f"the lock {self.name!r} was not free within {self.timeout_seconds:g} s"


class LockLostError(KeyfleetError):
    """The lease of the lock *name* ended before it was released: others may have had the lock meanwhile."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the lock {self.name!r} is not held any more: its lease ended, and others may have had it since"


class FilesError(KeyfleetError):
    """A file could not be written or removed; those in *changed_paths* were."""

    def __init__(self, path: str, reason: str, changed_paths: tuple[str, ...] = ()) -> None:
        super().__init__(path, reason, changed_paths)
        self.path, self.reason, self.changed_paths = path, reason, changed_paths

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ServiceError(KeyfleetError):
    """A service could not be started, stopped or asked; the reason ends with the last lines of its log."""

    def __init__(self, name: str, action: str, reason: str) -> None:
        super().__init__(name, action, reason)
        self.name, self.action, self.reason = name, action, reason

    def __str__(self) -> str:
        return f"cannot {self.action} {self.name}: {self.reason}"


class ServerError(KeyfleetError):
    """
    A server was asked, and it did not go well.

    Attributes:
        reason: Why, without the address.
        address: The server or the deployment; empty where the reason is of none in particular.
    """

    def __init__(self, reason: str, address: str = "") -> None:
        super().__init__(reason, address)
        self.reason, self.address = reason, address

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}" if self.address else self.reason


class UnreachableError(ServerError):
    """No connection to the server, or no usable answer in time; the command changed nothing, so that it may be tried again."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason, address)
        self.args = (address, reason)

    def __str__(self) -> str:
        return f"cannot reach {self.address}: {self.reason}"


class OutcomeUnknown(ServerError):  # noqa: N818 - says what is, which no name with Error would
    """
    The command was sent and its reply did not come in time: it may have run, and it was not sent again.

    Not an UnreachableError, so that ``except UnreachableError`` around a second try never doubles what may have run. Read the key to
    find out what happened. Commands for which running twice is the same as once are repeated instead, as listed in
    docs/client/guarantees.md.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason, address)
        self.args = (address, reason)

    def __str__(self) -> str:
        return f"{self.address} may or may not have run the command: {self.reason}"


class PoolTimeoutError(UnreachableError):
    """All connections of the pool were busy for the whole budget of the call; nothing was sent."""

    def __str__(self) -> str:
        return f"no free connection to {self.address}: {self.reason}"


class BreakerOpenError(UnreachableError):
    """Nothing was sent, since the last calls to this server failed; *retry_after_seconds* from now the next one is let through."""

    def __init__(self, address: str, reason: str, retry_after_seconds: float) -> None:
        super().__init__(address, reason)
        self.args = (address, reason, retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"not trying {self.address} for {self.retry_after_seconds:.2f} s: {self.reason}"


class CertificateError(ServerError):
    """TLS: the server's certificate does not verify or names another host, or the server does not accept the client's; no retry helps."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason, address)
        self.args = (address, reason)

    def __str__(self) -> str:
        return f"no connection to {self.address}: {self.reason}"


class CredentialsError(ServerError):
    """The server refused the user name or password, or wants one."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason, address)
        self.args = (address, reason)

    def __str__(self) -> str:
        return f"{self.address} refused the credentials: {self.reason}"


class DeniedError(ServerError):
    """
    The server does not offer a command to this user (renamed, unknown, NOPERM), or denies the user a key or channel.

    Attributes:
        command: The command in lower case; empty where a key or channel is denied, or the server does not say which command.
        kind: ``command``, ``key`` or ``channel``.
        name: Name of the key or channel; empty where the server does not say it, as most do not.
        user: Whose rights do not suffice; empty where no right would help, since the server does not have the command.
    """

    def __init__(self, command: str, reason: str, kind: str = "command", name: str = "", user: str = "") -> None:
        super().__init__(reason)
        self.args = (command, reason, kind, name, user)
        self.command, self.kind, self.name, self.user = command, kind, name, user

    def __str__(self) -> str:
        if self.kind == "command":
            whom = f" to user {self.user!r}" if self.user else ""
            return f"{f'command {self.command!r}' if self.command else 'the command'} is not available{whom}: {self.reason}"
        what = f"the {self.kind} {self.name!r}" if self.name else f"a {self.kind} of the command"
        return f"{what} is denied to {f'user {self.user!r}' if self.user else 'this user'}: {self.reason}"


class WrongTypeError(ServerError):
    """The key holds another data type than the one asked for."""

    def __init__(self, key: str, wanted: str, found: str) -> None:
        super().__init__(f"key {key!r} holds a {found}, not a {wanted}")
        self.args = (key, wanted, found)
        self.key, self.wanted, self.found = key, wanted, found


class InvalidationError(ServerError):
    """
    Deleting keys ended early.

    Attributes:
        cause: Why.
        nodes: Counts of each primary until then: ``node``, ``matched``, ``deleted``, ``unconfirmed``, as ``redis_invalidate`` returns them.
        sample: The first names that matched, printable.
    """

    def __init__(self, cause: KeyfleetError, nodes: Sequence[Mapping[str, Union[str, int]]], sample: Sequence[str] = ()) -> None:
        super().__init__(str(cause))
        self.args = (cause, nodes, sample)
        self.cause, self.nodes, self.sample = cause, tuple(nodes), tuple(sample)

    @property
    def deleted(self) -> int:
        """Keys that the servers said they removed."""
        return sum(int(node["deleted"]) for node in self.nodes)

    @property
    def unconfirmed(self) -> int:
        """Keys that may have been removed: the reply never came."""
        return sum(int(node["unconfirmed"]) for node in self.nodes)

    def __str__(self) -> str:
        lost = f", and {self.unconfirmed} more may be" if self.unconfirmed else ""
        return f"{self.cause}; until then {self.deleted} keys were deleted{lost}"
