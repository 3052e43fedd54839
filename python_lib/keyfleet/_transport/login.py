# SPDX-License-Identifier: MIT
"""User name and password of new connections: from the settings, or from a provider that is asked again when they are refused."""

from __future__ import annotations

import inspect
import itertools
import math
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Union

from ..core.connect.settings import Settings
from ..core.connect.values import read_secret
from ..core.errors import SettingsError

# A password, or a user name and a password.
Credentials = Union[str, tuple[Union[str, None], str]]
CredentialsProvider = Callable[[], Union[Credentials, Awaitable[Credentials]]]


class PasswordFile:
    """
    Provider of the password that a file holds, for a file that is replaced while the client runs.

    Args:
        path: The file; one line end at its end is dropped.
        username: User of the password; by default that of the settings.
    """

    def __init__(self, path: str | os.PathLike[str], username: str | None = None) -> None:
        self._path, self._username = Path(path), username

    def __repr__(self) -> str:
        return f"PasswordFile({str(self._path)!r})"

    def __call__(self) -> Credentials:
        """Return what the file holds now; SettingsError if that is no password."""
        password = read_secret(f"the password file is {str(self._path)!r}", str(self._path))
        return password if self._username is None else (self._username, password)


class RotatingPassword:
    """
    Provider of the passwords that may be valid at present, in turn: one that is refused makes room for the next.

    Args:
        passwords: Those to use, the likeliest first; at least one.
    """

    def __init__(self, *passwords: str) -> None:
        if not passwords:
            raise ValueError("RotatingPassword needs at least one password")
        self._passwords = itertools.cycle(passwords)

    def __repr__(self) -> str:
        return "RotatingPassword(...)"

    def __call__(self) -> Credentials:
        """Return the next password."""
        return next(self._passwords)


class Login(NamedTuple):
    """What a new connection says to be let in."""

    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r})"


class LoginSource:
    """
    The login for new connections of one client.

    Args:
        settings: Name the user, and hold the password where there is no provider.
        provider: Returns a password, or a user name and a password; it is asked for the first connection, and once more for each one
            that is refused; for every connection, if it has a true attribute ``per_connection``. With an attribute
            ``connection_seconds``, a connection is replaced after that time.

    Attributes:
        connection_seconds: For how long a connection is used, in seconds; ``math.inf`` for no limit.
    """

    def __init__(self, settings: Settings, provider: CredentialsProvider | None = None) -> None:
        self._username = settings.username
        self._login: Login | None = None
        if provider is None:
            self._login = Login(settings.username, settings.password)
            provider = PasswordFile(settings.password_file) if settings.password_file else None
        self._provider = provider
        self._is_per_connection = bool(getattr(provider, "per_connection", False))
        self.connection_seconds = float(getattr(provider, "connection_seconds", math.inf))
        self._asking = threading.Lock()
        _sources.add(self)

    @property
    def known(self) -> Login | None:
        """What was let in last, or is to be tried first; None where the provider has to be asked."""
        return self._login

    @property
    def to_try(self) -> Login | None:
        """The login for the next connection; None where the provider has to be asked."""
        return None if self._is_per_connection else self._login

    @property
    def is_renewable(self) -> bool:
        """Whether asking again may bring another login."""
        return self._provider is not None

    @property
    def waits(self) -> bool:
        """Whether the provider is asked by awaiting it."""
        return inspect.iscoroutinefunction(self._provider) or inspect.iscoroutinefunction(getattr(self._provider, "__call__", None))  # noqa: B004

    def ask(self, refused: Login | None = None) -> Login:
        """Return the login to use in place of *refused*; many callers at a time ask the provider once."""
        with self._asking:
            known = self._login
            if known is None or self._is_per_connection or known == refused:
                known = self._login = self._checked(self._asked())
            return known

    async def ask_waiting(self, refused: Login | None = None) -> Login:
        """Do as `ask` where the provider has to be awaited."""
        known = self._login
        if known is None or self._is_per_connection or known == refused:
            known = self._login = self._checked(await self._asked())
        return known

    def _asked(self) -> Any:
        if self._provider is None:
            raise SettingsError("there is no provider of credentials")
        return self._provider()

    def _checked(self, given: Any) -> Login:
        username, password = (self._username, given) if isinstance(given, str) else given
        if not isinstance(password, str) or not isinstance(username, (str, type(None))):
            raise SettingsError("the provider of credentials returns neither a password nor a user name and a password")
        if "\n" in password or "\r" in password:
            raise SettingsError("the provider of credentials returns a password with a line end")
        return Login(username, password)

    def forget_lock(self) -> None:
        """Begin with a free lock in a forked process: a thread of the parent may have held it."""
        self._asking = threading.Lock()


_sources: weakref.WeakSet[LoginSource] = weakref.WeakSet()


def _free_locks_in_child() -> None:
    for source in _sources:
        source.forget_lock()


os.register_at_fork(after_in_child=_free_locks_in_child)
