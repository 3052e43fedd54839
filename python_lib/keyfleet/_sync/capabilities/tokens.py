# SPDX-License-Identifier: MIT - made from _async/capabilities/tokens.py by scripts/generate_sync.py; change that one
"""Refresh tokens: `client.tokens`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._capabilities import tokens as _policy
from ..._capabilities.secrets import new_secret, user_tag
from ..._capabilities.tokens import GRACE_SECONDS, RefreshToken
from ..._protocol.arguments import Seconds
from ..._protocol.ttl import TTL
from ...core.errors import OutcomeUnknown, RefusedError, TokenInvalidError
from ..lifecycle import ClientBase


class Tokens:
    """
    Refresh tokens that are replaced with each use.

        first = client.tokens.store(42)
        second = client.tokens.rotate(first.token)
        client.tokens.rotate(first.token)  # after the grace: TokenReusedError, and second is revoked

    The server stores digests. All tokens of a user are in one slot, so that each call is one atomic step, on a cluster too.
    """

    def __init__(self, client: ClientBase) -> None:
        self._client = client

    def store(
        self,
        user_id: str | int,
        token: str | None = None,
        ttl_seconds: Seconds | None = None,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> RefreshToken:
        """
        Store the first token of a family, as after a login.

        Args:
            user_id: Whose it is.
            token: One that the application has made, of 128 random bits at least; by default one is made, of 256. The other calls need the
                *user_id* of such a token.
            ttl_seconds: How long it is valid, seven days by default.
            data: Kept with it and all its successors, as the name of the device; JSON.
        Raises:
            OutcomeUnknown: if the reply was lost, of a token that was made here twice; the first one is lost.
            RefusedError: if *token* is stored already.
        """
        ttl, tag = TTL.REFRESH_TOKEN if ttl_seconds is None else ttl_seconds, user_tag("user_id", user_id)
        if token is not None:
            return self._stored(tag, token, user_id, ttl, data)
        try:
            return self._stored(tag, new_secret(tag), user_id, ttl, data)
        except OutcomeUnknown:
            return self._stored(tag, new_secret(tag), user_id, ttl, data)

    def is_valid(self, token: str, *, user_id: str | int | None = None) -> bool:
        """Return whether *token* may be used: it is stored, not expired, not rotated and not revoked."""
        return self.find(token, user_id=user_id) is not None

    def find(self, token: str, *, user_id: str | int | None = None) -> RefreshToken | None:
        """Return what is known of *token*, None unless it is valid."""
        try:
            tag = _policy.tag_of_token(token, user_id)
        except TokenInvalidError:
            return None
        return self._client._run(_policy.find(self._prefix, tag, token))

    def rotate(
        self,
        token: str,
        *,
        user_id: str | int | None = None,
        ttl_seconds: Seconds | None = None,
        grace_seconds: Seconds = GRACE_SECONDS,
    ) -> RefreshToken:
        """
        Replace *token* by a new one, and return that.

        Everyone who comes with the same token within the grace gets the same new one: parallel requests of one browser, and who asks again
        since the reply was lost. Whoever comes later has stolen it, or is its owner after a thief: all tokens of the family end.

        Args:
            user_id: Whose it is, for a token that the application has made.
            ttl_seconds: How long the new one is valid; by default as long as the old one was.
            grace_seconds: How long the same token gives the same new one, at most an hour.
        Raises:
            TokenReusedError: if it was rotated before, and the grace is over.
            TokenInvalidError: if it is unknown, expired or revoked.
        """
        tag = _policy.tag_of_token(token, user_id)
        grace = _policy.grace_ms(grace_seconds)
        return self._client._run(_policy.rotate(self._prefix, tag, token, _policy.new_nonce(), ttl_seconds, grace))

    def revoke(self, token: str, *, user_id: str | int | None = None) -> bool:
        """
        End *token* and all of its family, as at logout; return whether one of them could still be used.

        After a lost reply it is sent again, and False may mean that the first attempt ended them.
        """
        try:
            tag = _policy.tag_of_token(token, user_id)
        except TokenInvalidError:
            return False
        return self._client._run(_policy.revoke(self._prefix, tag, token)) > 0

    def revoke_all(self, user_id: str | int) -> int:
        """End all tokens of a user in one step, and return how many could still be used."""
        return self._client._run(_policy.revoke(self._prefix, user_tag("user_id", user_id), None))

    @property
    def _prefix(self) -> str:
        return self._client._commands.prefix

    def _stored(self, tag: str, token: str, user_id: str | int, ttl_seconds: Seconds, data: Mapping[str, Any] | None) -> RefreshToken:
        made = self._client._run(_policy.store(self._prefix, tag, token, user_id, ttl_seconds, data))
        if made is None:
            raise RefusedError("the token is stored already")
        return made
