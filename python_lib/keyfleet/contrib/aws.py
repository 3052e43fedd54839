# SPDX-License-Identifier: MIT
"""
Log in to ElastiCache and MemoryDB with IAM.

    pip install 'keyfleet[iam]'

    from keyfleet.contrib.aws import IamCredentials
    client = Client.from_env(credentials=IamCredentials("my-cache", "app", region="eu-central-1"))
"""

from __future__ import annotations

from typing import Any

from ..core.managed.iam import TOKEN_SECONDS, make_token, name_problems

__all__ = ["TOKEN_SECONDS", "IamCredentials"]

# The services end a connection after 12 hours.
LONGEST_CONNECTION_SECONDS = 11 * 3600.0


class IamCredentials:
    """
    Provider of tokens: a new one for each connection, since a token ends with the keys that signed it, however young it is.

    Connections are replaced before the services end them, 12 hours after the login, so that no call notices.

    Args:
        cache: Name of the cache, the replication group or (MemoryDB) the cluster, and not its endpoint.
        user: Name of the user, which is also its id.
        region: As ``eu-central-1``; by default that of the session.
        service: ``elasticache`` or ``memorydb``.
        serverless: Whether it is a serverless cache of ElastiCache.
        session: A session of botocore; by default its usual chain of credentials.
        connection_seconds: For how long a connection is used.
    Raises:
        ValueError: if a name cannot be one.
    """

    per_connection = True

    def __init__(
        self,
        cache: str,
        user: str,
        *,
        region: str | None = None,
        service: str = "elasticache",
        serverless: bool = False,
        session: Any = None,
        connection_seconds: float = LONGEST_CONNECTION_SECONDS,
    ) -> None:
        problems = name_problems(cache, user, service, serverless)
        if problems:
            raise ValueError("; ".join(problems))
        self._cache, self._user = cache, user
        self._options: dict[str, Any] = {"region": region, "service": service, "serverless": serverless, "session": session}
        self.connection_seconds = connection_seconds

    def __repr__(self) -> str:
        return f"IamCredentials({self._cache!r}, {self._user!r})"

    def __call__(self) -> tuple[str, str]:
        """Return the user and a new token."""
        if self._options["session"] is None:
            from botocore.session import get_session

            self._options["session"] = get_session()  # kept, since it keeps the keys of a role until they end
        return self._user, make_token(self._cache, self._user, **self._options)
