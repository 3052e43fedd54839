# SPDX-License-Identifier: MIT
"""
Every error that keyfleet raises, one tree.

    KeyfleetError
    ├── SettingsError            the connection settings are missing, wrong or contradict each other
    ├── RefusedError             the request is not safe or not possible; nothing was touched
    └── ServerError              a server was asked, and it did not go well
        ├── UnreachableError     no connection, or no answer in time
        ├── CredentialsError     the server refused the user name or password, or wants one
        ├── DeniedError          the server does not offer the command to this user
        └── WrongTypeError       the key holds another data type
"""

from __future__ import annotations


class KeyfleetError(Exception):
    """Base class; ``str()`` never contains a secret."""


class SettingsError(KeyfleetError):
    """The connection settings are missing, wrong or contradict each other."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class RefusedError(KeyfleetError):
    """The request is not safe or not possible; nothing was touched."""


class ServerError(KeyfleetError):
    """A server was asked, and it did not go well."""


class UnreachableError(ServerError):
    """No connection to the server, or no answer in time."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"cannot reach {self.address}: {self.reason}"


class CredentialsError(ServerError):
    """The server refused the user name or password, or wants one."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"{self.address} refused the credentials: {self.reason}"


class DeniedError(ServerError):
    """The server does not offer the command to this user (NOPERM, renamed or unknown command)."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.command, self.reason = command, reason

    def __str__(self) -> str:
        return f"command {self.command!r} is not available: {self.reason}"


class WrongTypeError(ServerError):
    """The key holds another data type than the one asked for."""

    def __init__(self, key: str, wanted: str, found: str) -> None:
        super().__init__(key, wanted, found)
        self.key, self.wanted, self.found = key, wanted, found

    def __str__(self) -> str:
        return f"key {self.key!r} holds a {self.found}, not a {self.wanted}"
