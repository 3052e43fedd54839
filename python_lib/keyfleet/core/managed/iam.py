# SPDX-License-Identifier: MIT
"""
Tokens by which AWS lets a user of IAM log in to ElastiCache and MemoryDB.

A token is a signed request that is not sent: the service recomputes the signature. Signing needs no network; finding the keys may.

Source:
    ElastiCache User Guide, "Authenticating with IAM"; MemoryDB Developer Guide, "Authenticating users with IAM"; Signature Version 4 with
    query parameters. The host that is signed is the name of the cache, cluster or replication group in lower case, not the endpoint.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from ..errors import CredentialsError, RefusedError, SettingsError

SERVICES = ("elasticache", "memorydb")
TOKEN_SECONDS = 900  # the longest that the services accept


def make_token(
    cache: str, user: str, *, region: Optional[str] = None, service: str = "elasticache", serverless: bool = False, session: Any = None
) -> str:
    """
    Return a token, which is the password of *user* for the next 15 minutes.

    Args:
        cache: Name of the cache, the replication group or (MemoryDB) the cluster; the service knows it in lower case.
        user: Name of the user, which is also its id.
        region: As ``eu-central-1``; by default that of the session.
        service: ``elasticache`` or ``memorydb``.
        serverless: Whether it is a serverless cache of ElastiCache.
        session: Where keys and region come from, a session of botocore; by default its usual chain (variables, files, role of the machine).
    Raises:
        RefusedError: if botocore is missing.
        SettingsError: if a name or the region is missing or wrong.
        CredentialsError: if there are no keys to sign with.
    """
    try:
        from botocore.auth import SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.session import get_session
    except ImportError as error:
        raise RefusedError("IAM needs botocore: pip install 'keyfleet[iam]', or python3-botocore of the distribution") from error
    session = session or get_session()
    region = region or session.get_config_variable("region")
    problems = name_problems(cache, user, service, serverless)
    if not region:
        problems.append("no region is known; give it, or set AWS_REGION or AWS_DEFAULT_REGION")
    if problems:
        raise SettingsError(*problems)
    keys = session.get_credentials()
    if keys is None:
        raise CredentialsError(cache, "no AWS credentials were found to sign a token with")
    parameters = {"Action": "connect", "User": user}
    if serverless:
        parameters["ResourceType"] = "ServerlessCache"
    request = AWSRequest("GET", f"http://{cache.lower()}/", params=parameters)
    SigV4QueryAuth(keys.get_frozen_credentials(), service, region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).partition("://")[2]


def name_problems(cache: str, user: str, service: str, serverless: bool) -> list[str]:
    """Return what is wrong with the names that a token is made for."""
    problems = []
    if not re.fullmatch("[A-Za-z][A-Za-z0-9-]{0,39}", cache):
        problems.append(
            f"the cache is {cache!r}; allowed is its name, as my-cache, and not an endpoint: 1 to 40 letters, digits and hyphens"
        )
    if not user:
        problems.append("the user is empty; IAM needs the name of a user")
    if service not in SERVICES:
        problems.append(f"the service is {service!r}; allowed are {' and '.join(SERVICES)}")
    if serverless and service == "memorydb":
        problems.append("MemoryDB has no serverless caches")
    return problems
