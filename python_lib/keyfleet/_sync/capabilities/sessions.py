# SPDX-License-Identifier: MIT - made from _async/capabilities/sessions.py by scripts/generate_sync.py; change that one
"""Sessions: `client.sessions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._capabilities import sessions as _policy
from ..._capabilities.secrets import new_secret
from ..._capabilities.sessions import Place, Session, SessionData, SessionEntry
from ..._protocol.arguments import Seconds
from ..._protocol.command import Operation
from ..._protocol.ttl import TTL
from ...core.errors import ConflictError, OutcomeUnknown, RefusedError
from ..lifecycle import ClientBase


class Sessions:
    """
    Login sessions.

        session = client.sessions.create(42, {"email": "ada@example.org", "role": "admin", "ip": "203.0.113.7"})
        cookie = session.id
        session = client.sessions.get(cookie)

    The id is a secret that only the user has: the server stores its digest. All sessions of a user are in one slot, so that listing and
    revoking them is one step, on a cluster too.
    """

    def __init__(self, client: ClientBase) -> None:
        self._client = client

    def create(
        self,
        user_id: str | int,
        data: SessionData | Mapping[str, Any] | None = None,
        ttl_seconds: Seconds | None = None,
        *,
        sliding: bool = False,
        id: str | None = None,
    ) -> Session:
        """
        Create a session and return it; its ``id`` is what the user has to show.

        Args:
            user_id: Whose it is.
            data: What to store: ``email``, ``role``, ``ip`` and ``user_agent`` as texts, anything else as JSON, in the session's ``extra``.
            ttl_seconds: How long it lasts, a day by default.
            sliding: Whether each `get` begins that time anew.
            id: An id that the application has made, of 128 random bits at least. Its session is in a slot of its own, so that creating,
                ending and revoking it are several steps on a cluster.
        Raises:
            OutcomeUnknown: if the reply was lost twice; the id of what may have been created is lost.
            RefusedError: if there is a session with the given *id*, or all of the user's were revoked meanwhile.
        """
        ttl = TTL.SESSION if ttl_seconds is None else ttl_seconds
        if id is not None:
            return self._create_given(user_id, data, ttl, sliding, id)
        place = _policy.user_place(user_id)
        try:
            return self._create(self._client, place, user_id, data, ttl, sliding)
        except OutcomeUnknown:  # what may be there has an id that no client knows; it is listed, and expires
            return self._create(self._client, place, user_id, data, ttl, sliding)

    def get(self, id: str) -> Session | None:
        """
        Return the session, None if there is none or it has expired.

        A sliding session begins its time anew in the same step; that is done on a full server, too.
        """
        place = _policy.place_of(id)
        return self._slid(place, self._run(_policy.get(self._prefix, place, id)))

    def exists(self, id: str) -> bool:
        """Return whether there is such a session; its time is not begun anew."""
        return self._run(_policy.get(self._prefix, _policy.place_of(id), id, "read")) is not None

    def touch(self, id: str, ttl_seconds: Seconds | None = None) -> bool:
        """
        Begin the time of a session anew, and return whether there is one; one that has ended does not come back.

        Args:
            ttl_seconds: Its TTL from now on; by default that which it has.
        """
        place = _policy.place_of(id)
        found = self._run(_policy.get(self._prefix, place, id, "touch", ttl_seconds))
        return self._slid(place, found, "touch", ttl_seconds) is not None

    def update(self, id: str, changes: Mapping[str, Any], *, expected_version: int | None = None) -> Session | None:
        """
        Change fields of a session and return it, None if there is none; one that has ended does not come back.

        Fields that are not named stay as they are: two who change different ones do not disturb each other.

        Args:
            changes: As *data* of `create`; None removes a field.
            expected_version: The ``version`` that *changes* are made from; with another one, nothing is changed.
        Raises:
            ConflictError: if the session has another version.
            OutcomeUnknown: if the reply was lost, with *expected_version* only; without, it is sent again.
        """
        place = _policy.place_of(id)
        found = self._run(_policy.update(self._prefix, place, id, changes, expected_version))
        if found == 0:
            raise ConflictError("the session", expected_version or 0)
        return self._slid(place, found)

    def destroy(self, id: str) -> bool:
        """
        End a session, and return whether there was one; after a lost reply, False may mean that the first attempt ended it.

        Args:
            id: Its id, or the ``handle`` from `list`; check before that the handle is one of the user's.
        """
        place = _policy.place_in(id)
        found = self._run(_policy.destroy(self._prefix, place))
        if found is not None and _policy.is_given(place):
            self._run(_policy.destroy(self._prefix, _policy.pointer_to(place, found.user_id)))
        return found is not None

    def list(self, user_id: str | int) -> list[SessionEntry]:
        """Return the sessions of a user, the latest to expire first. They have handles and no ids: those are stored nowhere."""
        found = self._run(_policy.entries(self._prefix, user_id))
        places = [entry for entry in found if isinstance(entry, Place)]
        if not places:
            return [entry for entry in found if isinstance(entry, SessionEntry)]
        read = self._run(Operation([_policy.get(self._prefix, place, "", "read") for place in places], list))
        given = dict(zip(places, read, strict=True))
        entries = [given[entry] if isinstance(entry, Place) else entry for entry in found]
        return [SessionEntry(it.handle, it.data, it.expires_at, it.version) for it in entries if it is not None]

    def revoke_user(self, user_id: str | int, except_: str | None = None) -> int:
        """
        End all sessions of a user in one step, and return how many there were.

        Sessions under ids of the application are ended one by one after that.

        Args:
            except_: The id, or handle, of a session that stays, as the one that asks.
        """
        kept = None if except_ is None else _policy.place_in(except_)
        digest = "" if kept is None else (_policy.POINTER if _policy.is_given(kept) else "") + kept.digest
        count, *pointers = self._run(_policy.revoke(self._prefix, user_id, digest))
        if pointers:
            self._run(Operation([_policy.destroy(self._prefix, _policy.target_of(it.decode())) for it in pointers], list))
        return int(count)

    @property
    def _prefix(self) -> str:
        return self._client._commands.prefix

    def _run(self, operation: Operation[Any]) -> Any:
        return self._client._run(operation)

    def _create(self, client: ClientBase, place: Place, user_id: str | int, data: Any, ttl_seconds: Seconds, sliding: bool) -> Session:
        secret = new_secret(place.tag)
        mine = _policy.place_of(secret)
        made = client._run(_policy.create(self._prefix, mine, secret, user_id, data, ttl_seconds, sliding))
        if made is None:
            raise RefusedError("there is a session with this id")  # of 256 random bits
        return made

    def _create_given(self, user_id: str | int, data: Any, ttl_seconds: Seconds, sliding: bool, id: str) -> Session:
        """First the entry among the user's sessions, so that whoever revokes them finds it; if it is gone at the end, they were."""
        place = _policy.place_of(id)
        if not _policy.is_given(place):
            raise ValueError("id has the form of one that create makes; leave it out")
        made = _policy.create(self._prefix, place, id, user_id, data, ttl_seconds, sliding)
        pointer = _policy.pointer_to(place, str(user_id))
        self._run(_policy.create(self._prefix, pointer, "", user_id, None, ttl_seconds, sliding))
        session: Session | None = self._run(made)
        if session is None:
            raise RefusedError("there is a session with this id")
        if self._run(_policy.get(self._prefix, pointer, "", "read")) is None:
            self._run(_policy.destroy(self._prefix, place))
            raise RefusedError("all sessions of the user were revoked while this one was created")
        return session

    def _slid(self, place: Place, session: Session | None, mode: str = "slide", ttl_seconds: Seconds | None = None) -> Session | None:
        """Let the entry among the user's sessions last as long as a session under an id of the application."""
        if session is not None and _policy.is_given(place):
            self._run(_policy.get(self._prefix, _policy.pointer_to(place, session.user_id), "", mode, ttl_seconds))
        return session
